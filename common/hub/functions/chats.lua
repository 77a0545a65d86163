-- Group chats: creation, change, reading; delivered marks are read here too.
--
-- members:{p}:<chat>: uid -> joined (8 bytes), left (8 bytes, zeros: still a member), and the uid's
-- partition in decimal, so that update can reach the inboxes of members that the caller did not name.
-- chat:{p}:<chat>: "title", "at" (created, ms), "by", "last" (id), "ver", "n" (members), "te" (absolute
-- end of its last task), "lf" (an id not above the first `left` in members), direct chats also "first" (id)
-- and "d:<uid>" (delivered marks).

local LEFT_KEPT_MS = 24 * 3600 * 1000  -- kLeftKeptMs in hub.h

local function chat_record(chat_key, reply)
  local c = call('HMGET', chat_key, 'title', 'at', 'by', 'last', 'ver', 'n')
  for i = 1, 6 do reply[#reply + 1] = c[i] or '' end
  return reply
end

-- Byte order; Lua's own `<` follows the server's locale.
local function bytes_below(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Journal, then inboxes or a task. `people` are the tails and uids of all recipients in order, or nil
-- if they are too many. Adds what happened to the reply {0, id, task, record...}.
local function change_publish(p, id, entry, people, broker, now, reply)
  call('RPUSH', K_JOURNAL .. p.part, entry)
  if not people then
    call('HSET', p.key, 'te', task_push(p.part, p.chat, '', '', entry, '', id, broker, now))
    reply[3] = 1
    return
  end
  local told = {broker = broker}
  for i = 1, #people, 2 do
    call('HSET', K_CHATS .. people[i], p.chat, id)
    local seq = inbox_push(people[i], id .. entry, false, told, 1, now)
    if seq then
      reply[#reply + 1] = people[i + 1]
      reply[#reply + 1] = seq
    end
  end
  relay_flush(told)
end

-- Has the journal no room, or the tasks if one will be needed?
local function change_full(part, by_task, journal_max, tasks_max)
  return call('LLEN', K_JOURNAL .. part) >= tonumber(journal_max)
    or (by_task and call('LLEN', K_TASKS .. part) >= tonumber(tasks_max))
end

-- nj_create: a new group.
-- KEYS 1 chat:{p}:<chat>
-- ARGV 1 chat's tail 2 "p}" 3 chat 4 creator 5 title 6 received_ms 7 "\n<broker>\n" 8 journal bound
--      9 tasks bound 10 "1" fan-out is left to a task, "0" if need be 11 parts of the change, then these
--      parts, then uid and partition of each member in uid order
-- Reply {0, id, task, title, at, by, last, version, count, uid, seq, ...} done
--       {1, '', 0, title, at, by, last, version, count} exists  {4} full
local function create_chat(keys, argv)
  local p = {key = keys[1], part = argv[2], chat = argv[3]}
  if call('HEXISTS', p.key, 'last') == 1 then return chat_record(p.key, {1, '', 0}) end
  if not hub_there() then return other_hub() end
  local nparts = tonumber(argv[11])
  local first = 12 + nparts
  local count = (#argv - first + 1) / 2
  local by_task = argv[10] == '1' or count > INLINE_MEMBERS
  if change_full(p.part, by_task, argv[8], argv[9]) then return {4} end
  local now = now_ms()
  local id = next_id(false, tonumber(argv[6]), now)
  call('HSET', p.key, 'title', argv[5], 'at', id_ms(id), 'by', argv[4], 'last', id, 'ver', 1,
    'n', count)
  local people = not by_task and {} or nil
  for i = first, #argv, 2 do
    call('HSET', K_MEMBERS .. argv[1], argv[i], id .. NO_ID .. argv[i + 1])
    if people then
      people[#people + 1] = argv[i + 1] .. '}:' .. argv[i]
      people[#people + 1] = argv[i]
    end
  end
  local reply = chat_record(p.key, {0, id, 0})
  change_publish(p, id, join_parts(argv, 12, nparts, id), people, argv[7], now, reply)
  return reply
end

-- Present members and those who left with `id`, as {tail, uid, ...} in uid order.
local function change_people(members, id)
  local rows = call('HGETALL', members)
  local uids, tails, people = {}, {}, {}
  for i = 1, #rows, 2 do
    local left = string.sub(rows[i + 1], 9, 16)
    if left == NO_ID or left == id then
      uids[#uids + 1] = rows[i]
      tails[rows[i]] = string.sub(rows[i + 1], 17) .. '}:' .. rows[i]
    end
  end
  table.sort(uids, bytes_below)
  for i = 1, #uids do
    people[#people + 1] = tails[uids[i]]
    people[#people + 1] = uids[i]
  end
  return people
end

-- Since when somebody who is added at `id` counts as a member. Who comes back while a task of the chat is
-- open never left, as far as it is concerned: the entries under way that they are to get are told by
-- this alone, and what was said in between they may read anyway.
local function joined_at(members, uid, open, id)
  local row = open and call('HGET', members, uid)
  return row and string.sub(row, 1, 8) or id
end

-- Drops the rows and marks of those who left more than a day ago. Not while a task of the chat is open:
-- these rows say who is to get its entry. `first` is the chat's "lf"; returns it as it is after this.
local function members_prune(tail, first, open, now)
  local before = now - LEFT_KEPT_MS
  if open or not first or id_ms(first) >= before then return first end
  first = false
  local rows = call('HGETALL', K_MEMBERS .. tail)
  for i = 1, #rows, 2 do
    local left = string.sub(rows[i + 1], 9, 16)
    if left ~= NO_ID and id_ms(left) < before then
      call('HDEL', K_MEMBERS .. tail, rows[i])
      call('HDEL', K_DELIVERED .. tail, rows[i])
    elseif left ~= NO_ID and (not first or id_below(left, first)) then
      first = left
    end
  end
  return first
end

-- nj_update: change a group's title and members.
-- KEYS 1 chat:{p}:<chat>
-- ARGV 1 chat's tail 2 "p}" 3 chat 4 by 5 version 6 "t" if a title follows, else "" 7 title
--      8 received_ms 9 "\n<broker>\n" 10 journal bound 11 tasks bound 12 "1" fan-out is left to a task,
--      "0" if need be 13 parts of the change 14 added 15 removed, then the parts, then uid and partition of each added, then removed uids
-- Reply as nj_create: {0, ...} done, {2, '', 0, record...} stale, {3} denied, {4} full
local function update_chat(keys, argv)
  local p = {key = keys[1], part = argv[2], chat = argv[3]}
  local members = K_MEMBERS .. argv[1]
  local c = call('HMGET', p.key, 'ver', 'n', 'last', 'te', 'lf')
  if not c[1] or not member_present(call('HGET', members, argv[4])) then
    return hub_there() and {3} or other_hub()
  end
  if c[1] ~= argv[5] then return chat_record(p.key, {2, '', 0}) end
  local nparts, nadd, nremove = tonumber(argv[13]), tonumber(argv[14]), tonumber(argv[15])
  local count = c[2] + nadd - nremove
  local open = task_open(p.part, c[4])
  local by_task = argv[12] == '1' or count + nremove > INLINE_MEMBERS or open
  if change_full(p.part, by_task, argv[10], argv[11]) then return {4} end

  local now = now_ms()
  local id = next_id(c[3], tonumber(argv[8]), now)
  local at = 16 + nparts
  local first = members_prune(argv[1], c[5], open, now)
  if not first and nremove > 0 then first = id end
  if first then
    if first ~= c[5] then call('HSET', p.key, 'lf', first) end
  elseif c[5] then
    call('HDEL', p.key, 'lf')
  end
  for i = at, at + 2 * nadd - 1, 2 do
    call('HSET', members, argv[i], joined_at(members, argv[i], open, id) .. NO_ID .. argv[i + 1])
  end
  for i = at + 2 * nadd, #argv do
    local row = call('HGET', members, argv[i])
    if row then
      call('HSET', members, argv[i], string.sub(row, 1, 8) .. id .. string.sub(row, 17))
    end
  end
  call('HSET', p.key, 'last', id, 'ver', c[1] + 1, 'n', count)
  if argv[6] == 't' then call('HSET', p.key, 'title', argv[7]) end
  local reply = chat_record(p.key, {0, id, 0})
  local people = not by_task and change_people(members, id) or nil
  change_publish(p, id, join_parts(argv, 16, nparts, id), people, argv[9], now, reply)
  return reply
end

-- nj_chat: a chat's record, and its members unless the caller knows this version's.
-- KEYS 1 chat:{p}:<chat>
-- ARGV 1 chat's tail 2 known version 3 "m" if members are asked for, else "" 4 "d" or "g"
-- Reply {} not found; else {title, at, by, last, version, count, included 0/1, then groups: uid, row,
--       uid, row, ...; direct: the first message's id}
local function get_chat(keys, argv)
  local reply = chat_record(keys[1], {})
  if reply[4] == '' then return hub_there() and {} or other_hub() end
  local included = argv[3] == 'm' and argv[2] ~= reply[5]
  reply[7] = included and 1 or 0
  if included and argv[4] == 'd' then
    reply[8] = call('HGET', keys[1], 'first') or NO_ID
  elseif included then
    local rows = call('HGETALL', K_MEMBERS .. argv[1])
    for i = 1, #rows do reply[7 + i] = rows[i] end
  end
  return reply
end

-- nj_receipts: delivered marks of chats that a user is a present member of.
-- KEYS 1 chat:{p}:<first chat>
-- ARGV 1 uid, then for each chat its tail, low uid, high uid (both empty: a group)
-- Reply {{chat, uid, id, uid, id, ...}, ...}; chat is the place in ARGV, from 1; others are left out
local function get_receipts(keys, argv)
  local reply = {}
  for at = 2, #argv, 3 do
    local tail, low, high = argv[at], argv[at + 1], argv[at + 2]
    local marks = {(at + 1) / 3}
    if low ~= '' then
      local c = call('HMGET', K_CHAT .. tail, 'last', 'd:' .. low, 'd:' .. high)
      if c[1] then
        if c[2] then marks[2], marks[3] = low, c[2] end
        if c[3] and high ~= low then
          marks[#marks + 1] = high
          marks[#marks + 1] = c[3]
        end
        reply[#reply + 1] = marks
      end
    elseif member_present(call('HGET', K_MEMBERS .. tail, argv[1])) then
      local rows = call('HGETALL', K_DELIVERED .. tail)
      for i = 1, #rows do marks[1 + i] = rows[i] end
      reply[#reply + 1] = marks
    end
  end
  return reply
end

-- nj_user_chats: KEYS 1 user:{p}:<uid>  ARGV 1 user's tail  Reply {chat, id, chat, id, ...}
local function user_chats(keys, argv)
  local chats = call('HGETALL', K_CHATS .. argv[1])
  return (#chats > 0 or hub_there()) and chats or other_hub()
end

register('nj_create', create_chat)
register('nj_update', update_chat)
register('nj_chat', get_chat, 'no-writes')
register('nj_receipts', get_receipts, 'no-writes')
register('nj_user_chats', user_chats, 'no-writes')
