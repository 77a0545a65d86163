-- Group chats: creation, change, reading; delivered marks are read here too.
--
-- members:{p}:<chat>: uid -> joined (8 bytes), left (8 bytes, zeros: still a member), the uid's partition in
-- decimal, so that update can reach the inboxes of members that the caller did not name, and, of who came back
-- while a task of the chat was open, a comma and the times before: joined and left of each, the newest last.
-- chat:{p}:<chat>: "title", "at" (created, ms), "by", "last" (id), "ver", "n" (members), "te" (absolute
-- end of its last task), "lf" (an id not above the first `left` in members), direct chats also "first" (id)
-- and "d:<uid>" (delivered marks).

local LEFT_KEPT_MS = 24 * 3600 * 1000  -- kLeftKeptMs in hub.h
local TIMES_KEPT = 16                  -- kTimesKept in hub.h

-- A retired group has nil for its title (retire.lua).
local function chat_record(chat_key, reply)
  local c = call('HMGET', chat_key, 'title', 'at', 'by', 'last', 'ver', 'n', 'first')
  reply[#reply + 1] = c[1] or (c[7] and '')
  for i = 2, 6 do reply[#reply + 1] = c[i] or '' end
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
      tails[rows[i]] = string.match(rows[i + 1], '^%d+', 17) .. '}:' .. rows[i]
    end
  end
  table.sort(uids, bytes_below)
  for i = 1, #uids do
    people[#people + 1] = tails[uids[i]]
    people[#people + 1] = uids[i]
  end
  return people
end

-- A row up to its partition, and the times before.
local function row_parts(row)
  local _, at = string.find(row, '^%d+', 17)
  return string.sub(row, 1, at), string.sub(row, at + 2)
end

-- The rows of those who are added at `id` (uid and partition of each in argv from `from` up to `upto`), uid by
-- uid; nil if one of them has come back too often. Who comes back while a task of the chat is open keeps the time
-- before: its entry may be on its way to them, and what was said while they were out is not.
local function rows_added(members, argv, from, upto, open)
  local rows = {}
  for i = from, upto, 2 do
    local row, before = open and call('HGET', members, argv[i]), ''
    if row then
      local _, times = row_parts(row)
      if #times >= 16 * TIMES_KEPT then return nil end
      before = ',' .. times .. string.sub(row, 1, 16)
    end
    rows[#rows + 1] = NO_ID .. argv[i + 1] .. before
  end
  return rows
end

-- The times before that ended after `before` (ms), as in the row; also the first end among them, or `first`.
local function times_pruned(times, before, first)
  local kept = ''
  for at = 1, #times, 16 do
    local left = string.sub(times, at + 8, at + 15)
    if id_ms(left) >= before then
      kept = kept .. string.sub(times, at, at + 15)
      if not first or id_below(left, first) then first = left end
    end
  end
  return kept, first
end

-- Drops the rows and marks of those who left more than a day ago, and times before that ended then. Not while a
-- task of the chat is open: these say who is to get its entry. `first` is the chat's "lf"; returns it as it is
-- after this.
local function members_prune(tail, first, open, now)
  local before = now - LEFT_KEPT_MS
  if open or not first or id_ms(first) >= before then return first end
  first = false
  local members = K_MEMBERS .. tail
  local rows = call('HGETALL', members)
  for i = 1, #rows, 2 do
    local left = string.sub(rows[i + 1], 9, 16)
    if left ~= NO_ID and id_ms(left) < before then
      call('HDEL', members, rows[i])
      call('HDEL', K_DELIVERED .. tail, rows[i])
    else
      if left ~= NO_ID and (not first or id_below(left, first)) then first = left end
      local row, times = row_parts(rows[i + 1])
      if times ~= '' then
        local kept
        kept, first = times_pruned(times, before, first)
        if kept ~= times then
          call('HSET', members, rows[i], kept == '' and row or row .. ',' .. kept)
        end
      end
    end
  end
  return first
end

-- nj_update: change a group's title and members.
-- KEYS 1 chat:{p}:<chat>
-- ARGV 1 chat's tail 2 "p}" 3 chat 4 by 5 version 6 "t" if a title follows, else "" 7 title
--      8 received_ms 9 "\n<broker>\n" 10 journal bound 11 tasks bound 12 "1" fan-out is left to a task,
--      "0" if need be 13 parts of the change 14 added 15 removed, then the parts, then uid and partition of each added, then removed uids
-- Reply as nj_create: {0, ...} done, {2, '', 0, record...} stale, {3} denied, {4} full, or somebody who is added
--       has come and gone TIMES_KEPT times while tasks were open
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
  local at = 16 + nparts
  local added = rows_added(members, argv, at, at + 2 * nadd - 1, open)
  if not added or change_full(p.part, by_task, argv[10], argv[11]) then return {4} end

  local now = now_ms()
  local id = next_id(c[3], tonumber(argv[8]), now)
  local first = members_prune(argv[1], c[5], open, now)
  if not first and nremove > 0 then first = id end
  if first then
    if first ~= c[5] then call('HSET', p.key, 'lf', first) end
  elseif c[5] then
    call('HDEL', p.key, 'lf')
  end
  for i = 1, nadd do call('HSET', members, argv[at + 2 * (i - 1)], id .. added[i]) end
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
-- Reply {} not found; else {title, at, by, last, version, count, included 0/1, then groups: uid, row (as in
--       members above), uid, row, ...; direct: the first message's id}
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
