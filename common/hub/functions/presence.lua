-- Presence: what was published last ("on", "la" in the user's hash) and what the routes say.
-- "lo" is the broker that ended the last route while "on" was published: its grace counts.
-- watch:{p}:<uid>: a set of the ids of brokers with subscribers to the user's presence.

-- Tells the brokers that watch, but `own`. One that nobody listens for is forgotten: it says its
-- interests again when its relay comes up.
local function relay_presence(tail, uid, online, active, own)
  local watchers = call('SMEMBERS', K_WATCH .. tail)
  local message
  for i = 1, #watchers do
    if watchers[i] ~= own then
      message = message
        or pb_bytes(8, uid) .. pb_number(9, online and 1 or 0) .. pb_number(10, tonumber(active))
      if relay_publish(watchers[i], message) == 0 then
        call('SREM', K_WATCH .. tail, watchers[i])
      end
    end
  end
end

-- nj_set_presence: make presence what the routes say, once debounce or grace is over.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 uid 2 online 0/1 3 broker 4 sessions key
-- Reply {changed 0/1, online 0/1, last active}
local function set_presence(keys, argv)
  local user, uid, want = keys[1], argv[1], argv[2] == '1'
  local u = call('HMGET', user, 'br', 'on', 'la', 'lo')
  local online, active = u[2] and true or false, u[3] or 0
  local routed = route_count(u[1]) > 0
  local changed = want ~= online and want == routed
    and (want or not u[4] or u[4] == argv[3])
  if changed then
    online, active = want, now_ms()
    if want then
      call('HSET', user, 'on', 1, 'la', active)
    else
      call('HDEL', user, 'on', 'lo')
      call('HSET', user, 'la', active)
    end
    relay_presence(string.sub(user, #K_USER + 1), uid, online, active, broker_id(argv[3]))
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

-- What presence stands at, of the tails from argv[first] on: {online 0/1, active, ...}
local function presence_states(argv, first)
  local reply = {}
  for i = first, #argv do
    local u = call('HMGET', K_USER .. argv[i], 'on', 'la')
    reply[#reply + 1] = u[1] and 1 or 0
    reply[#reply + 1] = u[2] or 0
  end
  return reply
end

-- nj_presence: KEYS 1 user:{p}:<first uid>  ARGV the users' tails  Reply {online 0/1, active, ...}
local function get_presence(keys, argv)
  return presence_states(argv, 1)
end

-- nj_watch, nj_watch_off: whether a broker watches users.
-- KEYS 1 user:{p}:<first uid>  ARGV 1 broker id, then the users' tails  Reply as nj_presence
local function watch_with(command)
  return function(keys, argv)
    for i = 2, #argv do call(command, K_WATCH .. argv[i], argv[1]) end
    return presence_states(argv, 2)
  end
end

register('nj_watch', watch_with('SADD'))
register('nj_watch_off', watch_with('SREM'), 'allow-oom')
register('nj_set_presence', set_presence, 'allow-oom')
register('nj_presence', get_presence, 'no-writes')
