-- The first part of the library `nightjar`: what every later part uses. common/hub/CMakeLists.txt has
-- the order. While a library loads it sees none of Redis's globals, so everything is a local, and those
-- used often are bound by the first function that runs.

local call, pack_bytes, unpack_bytes

local function bind()
  call, pack_bytes, unpack_bytes = redis.call, struct.pack, struct.unpack
end

-- flag: 'no-writes' reads only; 'allow-oom' frees room, and so works at maxmemory too.
local function register(name, callback, flag)
  redis.register_function{
    function_name = name,
    callback = function(keys, argv)
      if not call then bind() end
      return callback(keys, argv)
    end,
    flags = flag and {flag} or {},
  }
end
