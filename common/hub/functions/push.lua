-- Push settings, stored now and used by the notifier. push:{p}:<uid>: "r:<device>" the registration,
-- "m:<device>" until when the device is mute, "c:<chat>" until when the chat is (ms; -1: for ever).

-- nj_push: set or delete one field.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 user's tail 2 "p}" 3 field 4 value (empty: delete) 5 journal record 6 journal bound
-- Reply 1 done, 0 the journal is full
local function put_push(keys, argv)
  if call('LLEN', K_JOURNAL .. argv[2]) >= tonumber(argv[6]) then return 0 end
  if argv[4] == '' then
    call('HDEL', K_PUSH .. argv[1], argv[3])
  else
    call('HSET', K_PUSH .. argv[1], argv[3], argv[4])
  end
  call('RPUSH', K_JOURNAL .. argv[2], argv[5])
  return 1
end

register('nj_push', put_push)
