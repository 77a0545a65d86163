-- The first part of the library `nightjar`: what every later part uses. common/hub/CMakeLists.txt has
-- the order. While a library loads it sees none of Redis's globals, so everything is a local, and those
-- used often are bound by the first function that runs.

local call, pack_bytes, unpack_bytes
local running  -- the first key of the call that runs

local function bind()
  call, pack_bytes, unpack_bytes = redis.call, struct.pack, struct.unpack
end

-- "p}" of the call that runs: of its first key.
local function here()
  return string.match(running, '{(%d+})')
end

-- The answer of what finds no key `hub` of its partition, or another epoch than the caller's connection was greeted with:
-- Redis has lost its data, or is being filled again, or somebody has set it up anew. The caller connects again and is greeted.
local function other_hub()
  return redis.error_reply('NOHUB this is not the hub that the connection was greeted by')
end

-- A hub that is closed while it is filled from the store has no epoch either (restore.lua).
local function hub_there()
  return call('HEXISTS', K_HUB .. here(), 'epoch') == 1
end

-- flag: 'no-writes' reads only; 'allow-oom' frees room, and so works at maxmemory too.
local function register(name, callback, flag)
  redis.register_function{
    function_name = name,
    callback = function(keys, argv)
      if not call then bind() end
      running = keys[1]
      return callback(keys, argv)
    end,
    flags = flag and {flag} or {},
  }
end
