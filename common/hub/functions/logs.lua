-- Leases, and the two logs of a partition: journal:{p} and tasks:{p}, lists with an absolute base.
--
-- part:{p}: "jb" and "tb", the bases; "l:<role>", the newest lease token.
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
-- ARGV 1 role 2 owner 3 ttl_ms (0: give back) 4 the epoch of the caller's connection, then each
--      partition's "p}"
-- Reply {token or 0, ...}. Everybody who works asks every few seconds: here an epoch that is another by now
-- is noticed by those who have nothing else to ask.
local function lease(keys, argv)
  local role, me, ttl = argv[1], argv[2], tonumber(argv[3])
  if call('HGET', K_HUB, 'epoch') ~= argv[4] then return other_hub() end
  local now, reply = now_ms(), {}
  for i = 5, #argv do
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

local LOGS = {j = {key = K_JOURNAL, base = 'jb'}, t = {key = K_TASKS, base = 'tb'}}

-- nj_read_log: the oldest elements of partitions' logs.
-- KEYS 1 part:{p} of the first  ARGV 1 "j" or "t" 2 from 3 count 4 bytes, then each partition's "p}"
-- Reply {{partition, first, end, record, ...}, ...}; partition is the place in ARGV, from 1
local function read_log(keys, argv)
  local log, from, count, room = LOGS[argv[1]], tonumber(argv[2]), tonumber(argv[3]), tonumber(argv[4])
  local reply, taken, full = {}, nil, false
  for i = 5, #argv do
    local key = log.key .. argv[i]
    local length = call('LLEN', key)
    local base = length > 0 and tonumber(call('HGET', K_PART .. argv[i], log.base) or 0) or 0
    local first = math.max(from, base)
    if length > 0 and base + length > first then
      local slice = {i - 4, first, base + length}
      local at, stop = first - base, math.min(length, first - base + count)
      while at < stop and not full do
        local step = math.min(stop - at, 64)
        local records = call('LRANGE', key, at, at + step - 1)
        for k = 1, #records do
          if taken and taken + #records[k] > room then
            full = true
            break
          end
          taken = (taken or 0) + #records[k]
          slice[#slice + 1] = records[k]
        end
        at = at + step
      end
      reply[#reply + 1] = slice
    end
  end
  return reply
end

-- nj_trim_log: drop a log's elements below an absolute position, if the lease's token is shown. Nobody
-- has read what is beyond the end: who claims to has read another log.
-- KEYS 1 part:{p} of the first  ARGV 1 "j" or "t" 2 role, then "p}", token, upto of each partition
-- Reply {held 0/1, ...}
local function trim_log(keys, argv)
  local log, now, reply = LOGS[argv[1]], now_ms(), {}
  for i = 3, #argv, 3 do
    local held = lease_holder(K_LEASE .. argv[i] .. ':' .. argv[2], now) == argv[i + 1]
    if held then
      local part, key = K_PART .. argv[i], log.key .. argv[i]
      local base, upto = tonumber(call('HGET', part, log.base) or 0), tonumber(argv[i + 2])
      if upto > base + call('LLEN', key) then
        held = false
      elseif upto > base then
        call('LTRIM', key, upto - base, -1)
        call('HSET', part, log.base, upto)
      end
    end
    reply[#reply + 1] = held and 1 or 0
  end
  return reply
end

-- nj_dead_letter: keep a record that can never be stored. dead:{p} is a list of at most 10,000; an
-- element is '<I8' time (ms), '<I4' length of the reason, reason, record.
-- KEYS 1 dead:{p}  ARGV 1 now_ms 2 reason 3 record  Reply 1 done, 0 full
local function dead_letter(keys, argv)
  if call('LLEN', keys[1]) >= 10000 then return 0 end
  call('RPUSH', keys[1], pack_bytes('<I8I4', tonumber(argv[1]), #argv[2]) .. argv[2] .. argv[3])
  return 1
end

register('nj_lease', lease)
register('nj_read_log', read_log, 'no-writes')
register('nj_trim_log', trim_log, 'allow-oom')
register('nj_dead_letter', dead_letter)
