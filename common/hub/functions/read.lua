-- Reading a user's inbox and where users stand. Nothing here writes.

-- nj_inbox: KEYS 1 user:{p}:<uid>  ARGV 1 user's tail 2 from (>= 1) 3 count 4 bytes
-- Reply {first, head, entry, entry, ...}; the entries still have their id's eight bytes in front
local function read_inbox(keys, argv)
  local inbox = K_INBOX .. argv[1]
  local base = tonumber(call('HGET', keys[1], 'base') or 0)
  local head = base + call('LLEN', inbox)
  local first = math.max(tonumber(argv[2]), base + 1)
  local reply = {first, head}
  local left, room = math.min(tonumber(argv[3]), head - first + 1), tonumber(argv[4])
  local index, taken = first - base - 1, 0
  while left > 0 do
    local step = math.min(left, 16)
    local entries = call('LRANGE', inbox, index, index + step - 1)
    for i = 1, #entries do
      local size = #entries[i] - 8
      if taken > 0 and taken + size > room then return reply end
      taken = taken + size
      reply[#reply + 1] = entries[i]
    end
    index, left = index + step, left - step
  end
  return reply
end

-- nj_heads: where sessions stand.
-- KEYS 1 user:{p}:<first uid>  ARGV for each session: the user's tail, "r:<device>", "<session> <broker>"
-- Reply {epoch, head, route, epoch, head, route, ...}; route is 0 this session's, 1 none, 2 another session's
local function heads(keys, argv)
  local reply, epochs = {}, {}
  for i = 1, #argv, 3 do
    local part = string.match(argv[i], '^%d+}')
    local epoch = epochs[part] or call('HGET', K_HUB .. part, 'epoch')
    if not epoch then return other_hub() end
    epochs[part] = epoch
    local u = call('HMGET', K_USER .. argv[i], 'base', argv[i + 1])
    reply[#reply + 1] = epoch
    reply[#reply + 1] = (u[1] or 0) + call('LLEN', K_INBOX .. argv[i])
    reply[#reply + 1] = not u[2] and 1 or u[2] == argv[i + 2] and 0 or 2
  end
  return reply
end

-- nj_device: KEYS 1 user:{p}:<uid>  ARGV 1 user's tail 2 device  Reply {epoch, head, acked}
local function device(keys, argv)
  local epoch = call('HGET', K_HUB .. here(), 'epoch')
  if not epoch then return other_hub() end
  local u = call('HMGET', keys[1], 'base', 'a:' .. argv[2])
  return {epoch, (u[1] or 0) + call('LLEN', K_INBOX .. argv[1]), u[2] or 0}
end

register('nj_inbox', read_inbox, 'no-writes')
register('nj_heads', heads, 'no-writes')
register('nj_device', device, 'no-writes')
