-- The hub itself. LIBRARY_LAYOUT, LIBRARY_VERSION and LIBRARY_DIGEST are put in front by the loader.
--
-- hub: hash with "layout", "partitions", "epoch".

local function hub_info()
  local h = call('HMGET', K_HUB, 'layout', 'partitions', 'epoch')
  return {h[1] or 0, h[2] or 0, h[3] or 0}
end

-- nj_setup: sets an empty hub up.  KEYS 1 hub  ARGV 1 layout 2 partitions
-- Reply {layout, partitions, epoch} as they stand now
local function setup(keys, argv)
  if call('HEXISTS', K_HUB, 'layout') == 0 then
    call('HSET', K_HUB, 'layout', argv[1], 'partitions', argv[2], 'epoch', 1)
  end
  return hub_info()
end

-- nj_info: KEYS 1 hub  Reply as nj_setup, zeros if the hub is empty
local function info(keys, argv)
  return hub_info()
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
