-- nj_append: put one entry into the inboxes of up to 64 users, for a fan-out task. A user whose newest
-- appended id of the chat is not below this one is passed over, so it may be repeated.
--
-- KEYS  1 user:{p}:<first uid>
-- ARGV  1 chat  2 id  3 author_device  4 "\n<broker>\n"  5 shared  6 own
--       7 which of the users is the author (from 1; 0: none), then the users' tails
-- Reply {user, seq, user, seq, ...} the deliveries

local function append(keys, argv)
  local chat, id, author_at = argv[1], argv[2], tonumber(argv[7])
  local shared = id .. argv[5]
  local now = now_ms()
  local reply = {}
  for i = 1, #argv - 7 do
    local tail = argv[7 + i]
    local newest = call('HGET', K_CHATS .. tail, chat)
    if not newest or id_below(newest, id) then
      local seq
      call('HSET', K_CHATS .. tail, chat, id)
      if i == author_at then
        seq = inbox_push_own(tail, argv[3], id .. argv[6], argv[4], now)
      else
        seq = inbox_push(tail, shared, false, argv[4], now)
      end
      if seq then
        reply[#reply + 1] = i
        reply[#reply + 1] = seq
      end
    end
  end
  return reply
end

register('nj_append', append)
