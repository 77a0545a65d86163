-- Letting go of what nobody used for long and the store has.

-- A group loses its title, and whoever left long ago. A group always has a title, if only an empty one, so
-- that one without is retired; nj_restore_chat brings it back. Returns 1 if anything went.
local function retire_chat(part, tail, before, now)
  local key = K_CHAT .. tail
  local c = call('HMGET', key, 'last', 'first', 'te', 'lf', 'title')
  if not c[1] or c[2] or id_ms(c[1]) >= before or task_open(part, c[3]) then return 0 end
  local first = members_prune(tail, c[4], false, now)
  if first ~= (c[4] or false) then
    if first then call('HSET', key, 'lf', first) else call('HDEL', key, 'lf') end
  end
  local titled = c[5] and c[5] ~= ''
  if titled then call('HDEL', key, 'title') end
  return (titled or first ~= (c[4] or false)) and 1 or 0
end

-- A user who is nowhere loses name and email (the next login brings them; the store keeps of each the newest that is
-- not empty), and the inbox entries beyond their age. What of them a push was owed for counts as settled, as at a
-- login. At most `most` entries. Returns how many went, and whether anything did.
local function retire_user(tail, before, now, most)
  local user = K_USER .. tail
  local u = call('HMGET', user, 'base', 'br', 'on', 'la', 'dv', 'owed', 'name', 'email')
  if u[2] or u[3] or tonumber(u[4] or 0) >= before then return 0, false end
  local was = tonumber(u[1] or 0)
  local base = inbox_drop_old(tail, was, now, most)
  if base > was then
    owed_settle(user, tail, u[6], math.max(base, (acked_range(user, u[5]))), base + call('LLEN', K_INBOX .. tail))
  end
  local named = (u[7] or '') ~= '' or (u[8] or '') ~= ''
  if named then call('HDEL', user, 'name', 'email') end
  return base - was, named or base > was
end

local RETIRE_ENTRIES = 1000  -- kRetireEntries in keeping.h

-- nj_retire: chats and users that nobody used since.
-- KEYS 1 part:{p}
-- ARGV 1 "p}" 2 idle since (ms) 3 chats: how many tails follow; then those, then tails of users
-- Reply {chats, users, entries} that went or lost something
local function retire(keys, argv)
  local reply, before, now = {0, 0, 0}, tonumber(argv[2]), now_ms()
  local last = 3 + tonumber(argv[3])
  for i = 4, last do reply[1] = reply[1] + retire_chat(argv[1], argv[i], before, now) end
  for i = last + 1, #argv do
    local gone, any = retire_user(argv[i], before, now, RETIRE_ENTRIES - reply[3])
    reply[2] = reply[2] + (any and 1 or 0)
    reply[3] = reply[3] + gone
  end
  return reply
end

register('nj_retire', retire, 'allow-oom')
