-- Presence: what was published last ("on", "la" in the user's hash) and what the routes say.

-- nj_set_presence: make presence what the routes say, once debounce or grace is over.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 uid 2 online 0/1 3 broker 4 sessions key
-- Reply {changed 0/1, online 0/1, last active}
local function set_presence(keys, argv)
  local user, uid, want = keys[1], argv[1], argv[2] == '1'
  local u = call('HMGET', user, 'br', 'on', 'la')
  local online, active = u[2] and true or false, u[3] or 0
  local routed = route_count(u[1]) > 0
  local changed = want ~= online and want == routed
  if changed then
    online, active = want, now_ms()
    if want then
      call('HSET', user, 'on', 1, 'la', active)
    else
      call('HDEL', user, 'on')
      call('HSET', user, 'la', active)
    end
  end
  if not want then
    -- ';' is the byte after ':': all of this uid's elements, and of no other.
    local elements = call('ZRANGEBYLEX', argv[4], '[' .. uid .. ':', '(' .. uid .. ';')
    for i = 1, #elements do
      local dev, session, broker = string.match(elements[i], '^[^:]*:([^:]+):(%d+):(.*)$')
      if dev and broker == argv[3]
        and call('HGET', user, 'r:' .. dev) ~= session .. ' ' .. broker then
        call('ZREM', argv[4], elements[i])
      end
    end
  end
  return {changed and 1 or 0, online and 1 or 0, active}
end

-- nj_presence: KEYS 1 user:{p}:<first uid>  ARGV the users' tails  Reply {online 0/1, active, ...}
local function get_presence(keys, argv)
  local reply = {}
  for i = 1, #argv do
    local u = call('HMGET', K_USER .. argv[i], 'on', 'la')
    reply[#reply + 1] = u[1] and 1 or 0
    reply[#reply + 1] = u[2] or 0
  end
  return reply
end

register('nj_set_presence', set_presence, 'allow-oom')
register('nj_presence', get_presence, 'no-writes')
