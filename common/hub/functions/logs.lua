-- The two logs of a partition: journal:{p} and tasks:{p}, lists with an absolute base, which is kept in
-- part:{p} as "jb" and "tb". Leases: leases.lua.

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

-- An element of dead:{p}: '<I8' time (ms), '<I4' length of the reason, reason, record.
local function dead_element(argv)
  return pack_bytes('<I8I4', tonumber(argv[1]), #argv[2]) .. argv[2] .. argv[3]
end

-- nj_dead_letter: keep a record that can never be stored. dead:{p} is a list of at most 10,000.
-- KEYS 1 dead:{p}  ARGV 1 now_ms 2 reason 3 record  Reply 1 done, 0 full
local function dead_letter(keys, argv)
  if call('LLEN', keys[1]) >= 10000 then return 0 end
  call('RPUSH', keys[1], dead_element(argv))
  return 1
end

-- nj_dead_letters: KEYS 1 dead:{p}  ARGV 1 from (0: the oldest) 2 count 3 bytes
-- Reply {how many there are, then of each: time (ms), reason, record}; at least one, if there is one
local function dead_letters(keys, argv)
  local from, bytes = tonumber(argv[1]), tonumber(argv[3])
  local reply = {call('LLEN', keys[1])}
  for i = from, math.min(from + tonumber(argv[2]), reply[1]) - 1 do
    local letter = call('LINDEX', keys[1], i)
    bytes = bytes - #letter
    if bytes < 0 and #reply > 1 then break end
    local at, length, start = unpack_bytes('<I8I4', letter)
    reply[#reply + 1] = string.format('%.0f', at)
    reply[#reply + 1] = string.sub(letter, start, start + length - 1)
    reply[#reply + 1] = string.sub(letter, start + length)
  end
  return reply
end

-- nj_drop_dead_letter: KEYS 1 dead:{p}  ARGV 1 time (ms) 2 reason 3 record  Reply 1
local function drop_dead_letter(keys, argv)
  call('LREM', keys[1], 1, dead_element(argv))
  return 1
end

register('nj_read_log', read_log, 'no-writes')
register('nj_trim_log', trim_log, 'allow-oom')
register('nj_dead_letter', dead_letter)
register('nj_dead_letters', dead_letters, 'no-writes')
register('nj_drop_dead_letter', drop_dead_letter, 'allow-oom')
