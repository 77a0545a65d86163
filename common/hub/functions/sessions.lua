-- Devices, routes and tails of a user, and the sessions recorded for brokers.
--
-- Fields of user:{p}:<uid>: "dv" the known devices in the order in which they became known, each
-- followed by ','; per device "a:<device>" acknowledged, "r:<device>" its route "<session> <broker>",
-- "s:<device>" last seen (ms), "z:<device>" there while a resync is owed: told at every login until the
-- device acknowledges anything, since a sync may be lost on the way; "ep" the epoch of the last login; "tl" tails, "<broker> <count>\n" each; "br" the summary that appending
-- reads (inbox.lua); "la" last active (ms); "on" there if presence stands at online; "owed"; "name";
-- "email".
-- sessions:{p}:<broker id>, p the user's partition: sorted set, all scores 0, of "uid:device:session:broker" (an empty device: a
-- tail). An element stays until its offline is published.

local USER_DEVICES = 16

-- The names in a list whose elements are each followed by ',', and the fields of them with `prefix`.
local function device_fields(list, prefix)
  local names, fields = {}, {}
  for name in string.gmatch(list or '', '[^,]+') do
    names[#names + 1] = name
    fields[#fields + 1] = prefix .. name
  end
  return names, fields
end

local function route_count(brokers)
  return brokers and tonumber(string.match(brokers, '^%d+')) or 0
end

-- The highest (and lowest) acknowledgement of the user's devices, 0 without any.
local function acked_range(user, devices)
  local _, fields = device_fields(devices, 'a:')
  if #fields == 0 then return 0, 0 end
  local acked = call('HMGET', user, unpack(fields))
  local most, least = 0, nil
  for i = 1, #fields do
    local a = tonumber(acked[i] or 0)
    if a > most then most = a end
    if not least or a < least then least = a end
  end
  return most, least
end

-- What was owed up to `most` (the furthest acknowledgement) is settled. `owed` is the field's value.
local function owed_settle(user, tail, owed, most, head)
  if not owed or most < tonumber(owed) then return end
  if most < head then
    call('HSET', user, 'owed', most + 1)
    return
  end
  call('HDEL', user, 'owed')
  local brace = string.find(tail, '}', 1, true)
  call('ZREM', K_DUE .. string.sub(tail, 1, brace), string.sub(tail, brace + 2))
end

-- Works "br" out anew from routes and tails. Returns the number of routes.
local function routes_rebuild(user, devices, tails)
  local _, fields = device_fields(devices, 'r:')
  local routes, seen, names = 0, {}, {}
  if #fields > 0 then
    local rows = call('HMGET', user, unpack(fields))
    for i = 1, #fields do
      if rows[i] then
        routes = routes + 1
        local broker = string.match(rows[i], ' (.*)$')
        if not seen[broker] then names[#names + 1] = broker end
        seen[broker] = true
      end
    end
  end
  for broker in string.gmatch(tails or '', '([^\n]+) %d+\n') do
    if not seen[broker] then names[#names + 1] = broker end
    seen[broker] = true
  end
  if #names == 0 then
    call('HDEL', user, 'br')
  else
    call('HSET', user, 'br', routes .. '\n' .. table.concat(names, '\n') .. '\n')
  end
  return routes
end

-- Forgets the device longest unseen, one without a route if there is one. Returns the list without it.
local function device_forget(user, devices)
  local names, seen_fields = device_fields(devices, 's:')
  local _, route_fields = device_fields(devices, 'r:')
  local seen = call('HMGET', user, unpack(seen_fields))
  local routes = call('HMGET', user, unpack(route_fields))
  local pick
  for i = 1, #names do
    if not pick then
      pick = i
    elseif (routes[i] and true or false) ~= (routes[pick] and true or false) then
      if routes[pick] then pick = i end
    elseif tonumber(seen[i] or 0) < tonumber(seen[pick] or 0) then
      pick = i
    end
  end
  call('HDEL', user, 'a:' .. names[pick], 'r:' .. names[pick], 's:' .. names[pick],
    'z:' .. names[pick])
  table.remove(names, pick)
  return #names > 0 and table.concat(names, ',') .. ',' or ''
end

-- Stores name and email from a token if they are given and new; the store is told through the journal.
local function user_named(user, part, uid, had_name, had_email, name, email, now)
  if name == '' then name = had_name or '' end
  if email == '' then email = had_email or '' end
  if name == (had_name or '') and email == (had_email or '') then return end
  call('HSET', user, 'name', name, 'email', email)
  call('RPUSH', K_JOURNAL .. part, pb_bytes(19,
    pb_bytes(1, uid) .. pb_bytes(2, name) .. pb_bytes(3, email) .. pb_number(4, now)))
end

-- The device's session at another broker, with the route `previous`, is over.
local function relay_kick(previous, uid, device, own)
  local session, broker = string.match(previous, '^(%d+) (.*)$')
  local id = broker_id(broker)
  if id == own then return end
  relay_publish(id, pb_bytes(11, uid) .. pb_bytes(12, device) .. pb_number(13, tonumber(session))
    .. pb_bytes(14, broker))
end

-- All devices of the user are told to resync, until each acknowledges something.
local function resync_owed(user, devices)
  local _, fields = device_fields(devices, 'z:')
  for i = 1, #fields do call('HSET', user, fields[i], 1) end
end

-- nj_login: a device subscribed to its inbox. What kicks the session of the route that is replaced is
-- relayed, unless it is at the caller's.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 user's tail 2 "p}" 3 uid 4 device 5 session 6 broker 7 sessions key 8 name 9 email
-- Reply {epoch, start, head, resync 0/1, previous route or '', online 0/1}, {} the broker has been cleared
local function login(keys, argv)
  local user, tail, uid, device = keys[1], argv[1], argv[3], argv[4]
  local hub = call('HMGET', K_HUB .. argv[2], 'epoch', 'rid')
  local epoch = hub[1]
  if not epoch then return other_hub() end
  if broker_fenced(argv[2], argv[6]) then return {} end
  local now = now_ms()
  local u = call('HMGET', user, 'base', 'dv', 'tl', 'on', 'name', 'email', 'a:' .. device,
    'r:' .. device, 'z:' .. device, 'owed', 'ep')
  local base = inbox_drop_old(tail, tonumber(u[1] or 0), now, math.huge)
  local head = base + call('LLEN', K_INBOX .. tail)
  local devices, start, resync = u[2] or '', tonumber(u[7] or nil), u[9] and 1 or 0
  if not start then
    start = acked_range(user, devices)
    if start > 0 then resync = 1 end
    if #device_fields(devices, '') >= USER_DEVICES then devices = device_forget(user, devices) end
    devices = devices .. device .. ','
  end
  if base > start then  -- what is passed over counts as acknowledged
    start, resync = base, 1
    owed_settle(user, tail, u[10], math.max(start, (acked_range(user, devices))), head)
  end
  if hub[2] and u[11] ~= epoch then
    -- After a promotion without proof: the end of the inbox may be another than the devices have seen.
    if u[11] then
      resync = 1
      resync_owed(user, devices)
    end
    call('HSET', user, 'ep', epoch)
  end
  local route = argv[5] .. ' ' .. argv[6]
  call('HSET', user, 'dv', devices, 'a:' .. device, start, 'r:' .. device, route,
    's:' .. device, now, 'la', now)
  if resync == 1 and not u[9] then call('HSET', user, 'z:' .. device, 1) end
  routes_rebuild(user, devices, u[3])
  call('ZREM', K_DUE .. argv[2], uid)
  call('ZADD', argv[7], 0, uid .. ':' .. device .. ':' .. argv[5] .. ':' .. argv[6])
  user_named(user, argv[2], uid, u[5], u[6], argv[8], argv[9], now)
  local previous = u[8]
  if not previous or previous == route then
    previous = ''
  else
    relay_kick(previous, uid, device, broker_id(argv[6]))
  end
  return {epoch, start, head, resync, previous, u[4] and 1 or 0}
end

-- nj_logout: a session is over.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 user's tail 2 "p}" 3 uid 4 device 5 session 6 broker 7 sessions key
-- Reply {removed 0/1, routes, online 0/1}
local function logout(keys, argv)
  local user, tail, device = keys[1], argv[1], argv[4]
  local u = call('HMGET', user, 'r:' .. device, 'br', 'on', 'dv', 'tl', 'base')
  local removed = u[1] == argv[5] .. ' ' .. argv[6]
  local routes = route_count(u[2])
  if removed then
    local now = now_ms()
    call('HDEL', user, 'r:' .. device)
    call('HSET', user, 'la', now, 's:' .. device, now)
    routes = routes_rebuild(user, u[4], u[5])
    if routes == 0 then
      if u[3] then call('HSET', user, 'lo', argv[6]) end
      local most = acked_range(user, u[4])
      if tonumber(u[6] or 0) + call('LLEN', K_INBOX .. tail) > most then
        call('HSETNX', user, 'owed', most + 1)
        call('ZADD', K_DUE .. argv[2], 'NX', now, argv[3])
      end
    end
  end
  if not (routes == 0 and u[3]) then
    call('ZREM', argv[7], argv[3] .. ':' .. device .. ':' .. argv[5] .. ':' .. argv[6])
  end
  return {removed and 1 or 0, routes, u[3] and 1 or 0}
end

-- nj_tail, nj_tail_off: how many tails of a user a broker has now. One that has been cleared gets none.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 uid 2 broker 3 sessions key 4 count
-- Reply 1
local function tail_count(keys, argv)
  local user, broker, count = keys[1], argv[2], tonumber(argv[4])
  if count > 0 and broker_fenced(here(), broker) then return 1 end
  local u = call('HMGET', user, 'tl', 'dv')
  local tails = {}
  for name, n in string.gmatch(u[1] or '', '([^\n]+) (%d+)\n') do
    if name ~= broker then tails[#tails + 1] = name .. ' ' .. n .. '\n' end
  end
  if count > 0 then tails[#tails + 1] = broker .. ' ' .. count .. '\n' end
  local list = table.concat(tails)
  if list ~= (u[1] or '') then
    if list == '' then call('HDEL', user, 'tl') else call('HSET', user, 'tl', list) end
    routes_rebuild(user, u[2], list)
  end
  local element = argv[1] .. '::0:' .. broker
  if count > 0 then call('ZADD', argv[3], 0, element) else call('ZREM', argv[3], element) end
  return 1
end

-- nj_sessions: KEYS 1 sessions:{p}:<broker id>  ARGV 1 after 2 limit  Reply {element, ...}, one more than
-- `limit` if there are more
local function list_sessions(keys, argv)
  return call('ZRANGEBYLEX', keys[1], argv[1] == '' and '-' or '(' .. argv[1], '+',
    'LIMIT', 0, argv[2] + 1)
end

register('nj_login', login)
register('nj_logout', logout, 'allow-oom')
register('nj_tail', tail_count)
register('nj_tail_off', tail_count, 'allow-oom')
register('nj_sessions', list_sessions, 'no-writes')
