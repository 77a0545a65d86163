-- Leases of a partition's work.
--
-- part:{p}: "l:<role>", the newest lease token.
-- lease:{p}:<role>: "<token> <expires, ms> <life> <owner>". The hub's clock decides what is expired, so
-- that it can be tested; a lease that ran out is overwritten by the next. A lease ends with the life of the
-- server that gave it: whoever holds it has read a log that a restart may have taken back.

-- When this server (or this text of the library) first dealt with leases, in microseconds.
local life
local function server_life()
  if not life then
    local t = call('TIME')
    life = string.format('%.0f', t[1] * 1000000 + t[2])
  end
  return life
end

-- A token that was never given before: above the one before it, and above those of a hub that was lost.
local function lease_token(part, role, now)
  local before = tonumber(call('HGET', part, 'l:' .. role) or 0)
  local token = string.format('%.0f', math.max(before + 1, now))
  call('HSET', part, 'l:' .. role, token)
  return token
end

-- The token and owner of a lease that still holds, else nil.
local function lease_holder(key, now)
  local row = call('GET', key)
  if not row then return nil end
  local token, expires, taken, owner = string.match(row, '^(%d+) (%d+) (%d+) (.*)$')
  if not token or tonumber(expires) <= now or taken ~= server_life() then return nil end
  return token, owner
end

-- nj_lease: take, renew or give back leases.
-- KEYS 1 part:{p} of the first
-- ARGV 1 role 2 owner 3 ttl_ms (0: give back), then of each partition its "p}" and the epoch that the
--      caller's connection was greeted with
-- Reply {token or 0, ...}. Everybody who works asks every few seconds: here an epoch that is another by now
-- is noticed by those who have nothing else to ask.
local function lease(keys, argv)
  local role, me, ttl = argv[1], argv[2], tonumber(argv[3])
  for i = 4, #argv, 2 do
    if call('HGET', K_HUB .. argv[i], 'epoch') ~= argv[i + 1] then return other_hub() end
  end
  local now, reply = now_ms(), {}
  for i = 4, #argv, 2 do
    local key = K_LEASE .. argv[i] .. ':' .. role
    local token, owner = lease_holder(key, now)
    if token and owner ~= me then
      token = 0
    elseif ttl == 0 then
      if token then call('DEL', key) end
      token = 0
    else
      token = token or lease_token(K_PART .. argv[i], role, now)
      call('SET', key, string.format('%s %.0f %s %s', token, now + ttl, server_life(), me))
    end
    reply[#reply + 1] = tonumber(token)
  end
  return reply
end

register('nj_lease', lease)
