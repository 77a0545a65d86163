-- nj_append: put entries of one chat, at most 16, into the inboxes of up to 64 users, for fan-out tasks. A
-- user is passed over with those that are not above the newest id appended of the chat, so it may be
-- repeated.
--
-- KEYS  1 user:{p}:<first uid>
-- ARGV  1 chat  2 "\n<broker>\n"  3 number of messages, then for each, ids ascending: id, author_device,
--       shared, own, which of the users is the author (from 1; 0: none); then the users' tails
-- Reply {{user, seq, user, seq, ...}, ...} the deliveries of each message

-- The messages of argv: with the id in front of each entry.
local function append_messages(argv, count)
  local messages = {}
  for m = 1, count do
    local at = 5 * m - 1
    local id = argv[at]
    messages[m] = {
      id = id,
      only = argv[at + 1] .. ',',  -- the author's "dv", if the device is the only one
      shared = id .. argv[at + 2],
      own = id .. argv[at + 3],
      author = tonumber(argv[at + 4]),
    }
  end
  return messages
end

-- Appends the messages `due` (their numbers) for the user of `tail`, who is the i-th of the call.
local function append_user(tail, i, messages, due, told, now, reply)
  local user = call('HMGET', K_USER .. tail, 'base', 'br', 'dv', 'tl')
  local entries, which, owed = {}, {}, nil
  for k = 1, #due do
    local m = due[k]
    local message = messages[m]
    local mine = message.author == i
    -- The author's copy may be left out as in inbox_push_own.
    if not mine or user[3] ~= message.only or user[4] then
      entries[#entries + 1] = mine and message.own or message.shared
      which[#which + 1] = m
      if not mine and not owed then owed = #entries end
    end
  end
  local count = #entries
  if count == 0 then return end
  local length = call('RPUSH', K_INBOX .. tail, unpack(entries))
  local before = inbox_grown(tail, tonumber(user[1] or 0), length, count, now) - count
  local brokers = user[2]
  if owed and inbox_unrouted(brokers) then inbox_owe(tail, before + owed, now) end
  if not brokers then return end
  for k = 1, count do
    local m = which[k]
    local place = messages[m].author == i and 2 * m or 2 * m - 1
    local seq = inbox_tell(tail, entries[k], before + k, brokers, told, place)
    if seq then
      local deliveries = reply[m]
      deliveries[#deliveries + 1] = i
      deliveries[#deliveries + 1] = seq
    end
  end
end

local function append(keys, argv)
  local chat, told, count = argv[1], {broker = argv[2]}, tonumber(argv[3])
  local messages = append_messages(argv, count)
  local now, first = now_ms(), 3 + 5 * count
  local reply = {}
  for m = 1, count do reply[m] = {} end
  for i = 1, #argv - first do
    local tail = argv[first + i]
    local newest = call('HGET', K_CHATS .. tail, chat)
    local due = {}
    for m = 1, count do
      local id = messages[m].id
      if not newest or id_below(newest, id) then
        newest = id
        due[#due + 1] = m
      end
    end
    if #due > 0 then
      call('HSET', K_CHATS .. tail, chat, newest)
      append_user(tail, i, messages, due, told, now, reply)
    end
  end
  relay_flush(told)
  return reply
end

register('nj_append', append)
