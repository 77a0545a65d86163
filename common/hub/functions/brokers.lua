-- Brokers: who lives, and who clears what a dead one left.
--
-- All of it is in partition 0, but what fences: fenced:{p}, sorted set, name -> when it was fenced (ms).
-- brokers: sorted set of the living, name -> last beat (the hub's clock, ms). dying: sorted set of those to
-- be cleared, name -> end of the claim of whoever does it (0: nobody has claimed it yet).
-- In the hash hub: "bv", the version of the list of the living.

local CLEAR_AT_ONCE = 4  -- kClearAtOnce in brokers.h
local FENCED_MS = 24 * 3600 * 1000  -- kFencedMs there

-- The other incarnations of a broker's id in a sorted set, as {name, score, ...} in byte order of names.
local function broker_others(key, id, name)
  local rows, names, scores = call('ZRANGE', key, 0, -1, 'WITHSCORES'), {}, {}
  for i = 1, #rows, 2 do
    if rows[i] ~= name and broker_id(rows[i]) == id then
      names[#names + 1] = rows[i]
      scores[rows[i]] = rows[i + 1]
    end
  end
  table.sort(names, bytes_below)
  local others = {}
  for i = 1, #names do
    others[2 * i - 1], others[2 * i] = names[i], tonumber(scores[names[i]])
  end
  return others
end

-- Takes earlier lives of `name` out of the living, unless one still has a say: then nothing is done and
-- the answer is nil; else whether there were any.
local function broker_supersede(id, name, dead_before)
  local others = broker_others(K_BROKERS, id, name)
  for i = 1, #others, 2 do
    -- One of those who listen is the caller. An empty message says nothing.
    if others[i + 1] >= dead_before and relay_publish(id, '') > 1 then return nil end
  end
  for i = 1, #others, 2 do
    call('ZREM', K_BROKERS, others[i])
    call('ZADD', K_DYING, 0, others[i])
  end
  return #others > 0
end

-- Claims, for whoever may: those whose claim is over, then the dead among the living. Returns whether the
-- living have changed.
local function broker_claim(clear, now, dead_before, till)
  local room = CLEAR_AT_ONCE - #clear
  if room <= 0 then return false end
  local names = call('ZRANGEBYSCORE', K_DYING, '-inf', now, 'LIMIT', 0, room)
  local from_living = #names < room
    and call('ZRANGEBYSCORE', K_BROKERS, '-inf', '(' .. dead_before, 'LIMIT', 0, room - #names) or {}
  for i = 1, #from_living do
    call('ZREM', K_BROKERS, from_living[i])
    names[#names + 1] = from_living[i]
  end
  for i = 1, #names do
    call('ZADD', K_DYING, till, names[i])
    clear[#clear + 1] = names[i]
  end
  return #from_living > 0
end

-- nj_beat: a broker lives.
-- KEYS 1 brokers:{0}; fenced:{0} is looked at, too
-- ARGV 1 broker 2 first 0/1 3 may_clear 0/1 4 ttl_ms 5 the epoch and 6 the version it knows, then what it is
--      clearing
-- Reply {0, epoch, version, how many to clear, name, ..., then the living unless it knows this version}
--       {1, epoch} cleared  {2, epoch} taken
local function beat(keys, argv)
  local name, ttl = argv[1], tonumber(argv[4])
  local hub = K_HUB .. here()
  local epoch = call('HGET', hub, 'epoch')
  if not epoch then return other_hub() end
  local now = now_ms()
  local dead_before, till = now - ttl, now + ttl
  local id, taken_in = broker_id(name), argv[2] == '1' or argv[5] ~= epoch
  local lived = call('ZSCORE', K_BROKERS, name)
  if not lived and (not taken_in or call('ZSCORE', K_DYING, name)) or broker_fenced(here(), name) then
    return {1, epoch}
  end
  local changed = not lived
  if taken_in then
    local superseded = broker_supersede(id, name, dead_before)
    if superseded == nil then return {2, epoch} end
    changed = changed or superseded
  end
  -- Who was not heard itself for long cannot judge: this beat may have waited behind a pause, which made
  -- those of others late, and by up to a beat more than this one.
  local judges = argv[3] == '1' and lived and tonumber(lived) >= now - math.floor(ttl / 2)
  call('ZADD', K_BROKERS, now, name)
  for i = 7, #argv do call('ZADD', K_DYING, 'XX', till, argv[i]) end

  local clear = {}
  if taken_in then
    local own = broker_others(K_DYING, id, name)
    for i = 1, #own, 2 do
      call('ZADD', K_DYING, till, own[i])
      clear[#clear + 1] = own[i]
    end
  end
  if judges and broker_claim(clear, now, dead_before, till) then changed = true end
  if changed then call('HINCRBY', hub, 'bv', 1) end

  local version = call('HGET', hub, 'bv') or '0'
  local reply = {0, epoch, version, #clear}
  for i = 1, #clear do reply[4 + i] = clear[i] end
  if version ~= argv[6] or epoch ~= argv[5] then
    local living = call('ZRANGE', K_BROKERS, 0, -1)
    for i = 1, #living do reply[#reply + 1] = living[i] end
  end
  return reply
end

-- nj_fence: this name writes no routes and tails any more.
-- KEYS 1 fenced:{p} of the first partition  ARGV 1 broker, then each partition's "p}"  Reply 1
local function fence(keys, argv)
  local now = now_ms()
  for i = 2, #argv do
    local key = K_FENCED .. argv[i]
    call('ZREMRANGEBYSCORE', key, '-inf', '(' .. now - FENCED_MS)
    call('ZADD', key, 'NX', now, argv[1])
  end
  return 1
end

-- nj_gone: a broker is no more. Said twice by one that leaves and is not clean, it is still to be cleared:
-- nobody has claimed it yet.
-- KEYS 1 brokers:{0}  ARGV 1 broker 2 clean 0/1  Reply 1
local function gone(keys, argv)
  local lived = call('ZREM', K_BROKERS, argv[1]) == 1
  local left = lived or tonumber(call('ZSCORE', K_DYING, argv[1]) or nil) == 0
  if lived then call('HINCRBY', K_HUB .. here(), 'bv', 1) end
  if left and argv[2] == '0' then
    call('ZADD', K_DYING, 0, argv[1])
  else
    call('ZREM', K_DYING, argv[1])
  end
  return 1
end

register('nj_beat', beat, 'allow-oom')
register('nj_fence', fence, 'allow-oom')
register('nj_gone', gone, 'allow-oom')
