-- In front of the library for tests of what a Redis Cluster demands: a function that touches a key, or
-- publishes to a channel, of another hash tag than its first key's fails. But nj_setup: one call for all
-- partitions of a server is right where there is one.

local one_tag

local function tag_of(key)
  return string.match(key, '{(.-)}') or '(none)'
end

local function one_partition_begin(name, keys)
  one_tag = name ~= 'nj_setup' and keys[1] and tag_of(keys[1])
end

local function one_partition_call(command, ...)
  if one_tag and command ~= 'TIME' then
    local args = {...}
    local several = command == 'DEL' or command == 'UNLINK' or command == 'EXISTS'
    for i = 1, several and #args or 1 do
      if tag_of(args[i]) ~= one_tag and args[i] ~= 'test:clock' then
        error('a call of {' .. one_tag .. '} touches ' .. args[i] .. ' by ' .. command)
      end
    end
  end
  return redis.call(command, ...)
end
