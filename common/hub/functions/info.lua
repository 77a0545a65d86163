-- The hub itself. LIBRARY_LAYOUT, LIBRARY_VERSION and LIBRARY_DIGEST are put in front by the loader.
--
-- hub: hash with "layout", "partitions", "epoch".

-- Seconds from 1970 to 2025. Epochs are seconds since then: a hub set up after a loss has another one than
-- any before it, and it takes a byte less in every acknowledgement than Unix seconds would.
local EPOCH_FROM_S = 1735689600

local function hub_info()
  local h = call('HMGET', K_HUB, 'layout', 'partitions', 'epoch')
  return {h[1] or 0, h[2] or 0, h[3] or 0}
end

-- nj_setup: sets an empty hub up.
-- KEYS 1 hub  ARGV 1 layout 2 partitions 3 the epoch that the caller knew before (0: none): the new one
-- is above it, whatever the clock says
-- Reply {layout, partitions, epoch} as they stand now
local function setup(keys, argv)
  if call('HEXISTS', K_HUB, 'layout') == 0 then
    local epoch = math.max(math.floor(now_ms() / 1000) - EPOCH_FROM_S, tonumber(argv[3] or 0) + 1)
    call('HSET', K_HUB, 'layout', argv[1], 'partitions', argv[2], 'epoch',
      string.format('%.0f', epoch))
  end
  return hub_info()
end

-- nj_info: KEYS 1 hub  Reply as nj_setup
local function info(keys, argv)
  return hub_there() and hub_info() or other_hub()
end

-- nj_version: no keys  Reply {layout, version, digest} of this library
local function version(keys, argv)
  return {LIBRARY_LAYOUT, LIBRARY_VERSION, LIBRARY_DIGEST}
end

-- nj_noop: no keys; measures what a call costs before it does anything.  Reply 1
local function noop(keys, argv)
  return 1
end

register('nj_setup', setup, 'allow-oom')
register('nj_info', info, 'no-writes')
register('nj_version', version, 'no-writes')
register('nj_noop', noop, 'no-writes')
