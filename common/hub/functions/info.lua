-- The hub itself. LIBRARY_LAYOUT, LIBRARY_VERSION and LIBRARY_DIGEST are put in front by the loader.
--
-- hub:{p}: hash with "layout", "partitions", "epoch"; a copy for each partition; "closed" in the place of
-- "epoch" while it is filled from the store (restore.lua). With replicas also of the
-- master: "rid" the history (replication id) under which the epoch stands, "at" where it was found, "ids" the
-- time (ms) from which on it gives ids.

-- Seconds from 1970 to 2025. Epochs are seconds since then: a hub set up after a loss has another one than
-- any before it, and it takes a byte less in every acknowledgement than Unix seconds would.
local EPOCH_FROM_S = 1735689600

-- An epoch above all that were ever told of.
local function next_epoch(hub, known)
  local before = tonumber(call('HGET', hub, 'epoch') or 0)
  local clock = math.floor(now_ms() / 1000) - EPOCH_FROM_S
  return string.format('%.0f', math.max(clock, before + 1, known + 1))
end

-- Is this server another one than the hub was last known on, and does it have everything that was told?
-- Who comes first decides for those who remember nothing; who does remember speaks up for himself. What was
-- received before counts as received now: an id that was told by the lost end of the other master's history
-- is not undercut by one that waited meanwhile.
local function setup_master(hub, known, verdict, history, address)
  local h = call('HMGET', hub, 'epoch', 'rid', 'at')
  local raise = h[1] and verdict == 'broken' and tonumber(h[1]) <= known
  if h[2] ~= history then
    local unknown = verdict ~= 'sound' and verdict ~= 'broken' and verdict ~= 'moved:' .. (h[2] or '')
    raise = raise or (h[1] and unknown and h[2] and h[3] ~= address)
    call('HSET', hub, 'rid', history, 'at', address, 'ids', string.format('%.0f', now_ms()))
  end
  if raise then call('HSET', hub, 'epoch', next_epoch(hub, known)) end
end

-- nj_setup: sets partitions of an empty hub up, and takes notice of a new master. One that is closed is nobody's but
-- nj_setup_closed's: the same for who fills it, which sets an empty one up as closed.
-- KEYS 1 hub:{p} of the first
-- ARGV 1 layout 2 partitions 3 the epoch that the caller knew before (0: none): a new one is above it,
--      whatever the clock says 4 "sound" (the server has all that the caller ever told), "broken" (it may not),
--      "unknown" (the caller remembers nothing), "moved:<id>" (likewise, but it knows the partition from another
--      server, which is still there, under that history: it is sound if the record came from there, by MIGRATE),
--      or "" where no replicas are waited for 5 its replication id 6 its address, then each partition's "p}"
-- Reply {layout, partitions, time (ms) below which no id is given, epoch, epoch, ...} as they stand now; for a closed
-- one an epoch that is above 0 and has no meaning
local function setup(keys, argv, filling)
  local known, ids, reply = tonumber(argv[3]), 0, {0, 0, 0}
  for i = 7, #argv do
    local hub = K_HUB .. argv[i]
    if call('HEXISTS', hub, 'layout') == 0 then
      call('HSET', hub, 'layout', argv[1], 'partitions', argv[2])
      if filling then
        call('HSET', hub, 'closed', argv[3])
      else
        call('HSET', hub, 'epoch', next_epoch(hub, known))
      end
    end
    local closed = call('HGET', hub, 'closed')
    if closed and not filling then
      return redis.error_reply('CLOSED the hub is being filled from the store (nightjar-persister rebuild)')
    end
    if argv[4] ~= '' then setup_master(hub, known, argv[4], argv[5], argv[6]) end
    local h = call('HMGET', hub, 'layout', 'partitions', 'epoch', 'ids')
    reply[1], reply[2], reply[i - 3] = h[1] or 0, h[2] or 0, h[3] or closed and 1 or 0
    ids = math.max(ids, tonumber(h[4] or 0))
  end
  reply[3] = string.format('%.0f', ids)
  return reply
end

-- nj_info: KEYS 1 hub:{0}  Reply {layout, partitions, epoch}
local function info(keys, argv)
  local h = call('HMGET', keys[1], 'layout', 'partitions', 'epoch')
  return h[3] and {h[1] or 0, h[2] or 0, h[3]} or other_hub()
end

-- nj_version: no keys  Reply {layout, version, digest} of this library
local function version(keys, argv)
  return {LIBRARY_LAYOUT, LIBRARY_VERSION, LIBRARY_DIGEST}
end

-- nj_noop: no keys; measures what a call costs before it does anything.  Reply 1
local function noop(keys, argv)
  return 1
end

local function setup_closed(keys, argv)
  return setup(keys, argv, true)
end

register('nj_setup', setup, 'allow-oom')
register('nj_setup_closed', setup_closed, 'allow-oom')
register('nj_info', info, 'no-writes')
register('nj_version', version, 'no-writes')
register('nj_noop', noop, 'no-writes')
