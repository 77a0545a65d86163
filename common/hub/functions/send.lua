-- nj_send: accept a message.
--
-- KEYS  1 chat:{p}:<chat>
-- ARGV  1 "p}"  2 chat  3 author  4 device  5 client_msg_id  6 received_ms  7 "\n<broker>\n"
--       8 five characters: "d" direct or "g" group; which of the members is the author (from 1; 0:
--         none); how many parts `shared` and `own` have; "1" fan-out is left to a task, "0" if need be
--       9 journal bound  10 tasks bound; groups: 11 the chat's tail  12 version  13 text bytes;
--       then the parts of `shared` and of `own`, then the members' tails
-- Reply {0, id, task 0/1, member, seq, member, seq, ...} accepted, with the deliveries
--       {1, id} repeat  {2, version, uid, ...} stale  {3} denied  {4} below window  {5} too long  {6} full

local INLINE_MEMBERS = 8
local BIG_CHAT = 64
local BIG_CHAT_TEXT = 4096

-- Joins the parts from argv[from] on with the id between each two.
local function join_parts(argv, from, count, id)
  if count == 2 then return argv[from] .. id .. argv[from + 1] end
  return table.concat(argv, id, from, from + count - 1)
end

local function member_present(row)
  return row and string.sub(row, 9, 16) == NO_ID
end

-- {2, version, uid...}: what a caller with a stale list of members needs.
local function send_stale(tail, version)
  local reply = {2, version}
  local rows = call('HGETALL', K_MEMBERS .. tail)
  for i = 1, #rows, 2 do
    if member_present(rows[i + 1]) then reply[#reply + 1] = rows[i] end
  end
  return reply
end

-- Puts a fan-out task onto the partition's list, and has whoever works on it told; returns its absolute
-- end.
local function task_push(part, chat, author, device, shared, own, id, broker, now)
  local length = call('RPUSH', K_TASKS .. part,
    pb_bytes(1, chat) .. pb_bytes(2, author) .. pb_bytes(3, device) .. pb_bytes(4, shared)
    .. pb_bytes(5, own) .. pb_fixed64(6, id))
  relay_task(part, broker, now)
  return length + (call('HGET', K_PART .. part, 'tb') or 0)
end

-- Is a task of a chat, whose last one ends at te, still to be done?
local function task_open(part, te)
  return te and tonumber(te) > tonumber(call('HGET', K_PART .. part, 'tb') or 0)
end

-- Inline appending to all members (argv from `first` on), in their order.
local function send_inline(argv, first, author_at, id, shared, own, now, reply)
  local chat, told = argv[2], {broker = argv[7]}
  local entry
  for i = 1, #argv - first + 1 do
    local tail = argv[first + i - 1]
    local seq
    call('HSET', K_CHATS .. tail, chat, id)
    if i == author_at then
      seq = inbox_push_own(tail, argv[4], id .. own, told, 2, now)
    else
      entry = entry or id .. shared
      seq = inbox_push(tail, entry, false, told, 1, now)
    end
    if seq then
      reply[#reply + 1] = i
      reply[#reply + 1] = seq
    end
  end
  if told.last then relay_flush(told) end
end

-- Steps 2 to 4 for groups: nil if the send may go on, else the refusal. `by_task`: nobody needs the
-- members that the caller knows of.
local function send_check_group(argv, version, count, author_at, by_task)
  if not version then return hub_there() and {3} or other_hub() end
  if version ~= argv[12] or count > INLINE_MEMBERS or author_at == 0 then
    if not member_present(call('HGET', K_MEMBERS .. argv[11], argv[3])) then return {3} end
  end
  if count > BIG_CHAT and tonumber(argv[13]) > BIG_CHAT_TEXT then return {5} end
  if count <= INLINE_MEMBERS and not by_task and version ~= argv[12] then
    return send_stale(argv[11], version)
  end
  return nil
end

-- Step 1: the answer to a repeat or to an id below the window or the floor, else nil.
local function send_check_window(window, floor, cid)
  if window then
    local id, below = window_find(window, cid)
    if id then return {1, id} end
    if below then return {4} end
  end
  if floor and cid <= tonumber(floor) then return {4} end
  return nil
end

local function send(keys, argv)
  local chat_key, part, author, cid = keys[1], argv[1], argv[3], tonumber(argv[5])
  local kind, author_at, nshared, nown, task = string.byte(argv[8], 1, 5)
  local direct, by_task = kind == 100, task == 49
  author_at, nshared, nown = author_at - 48, nshared - 48, nown - 48
  local window_field = 'w:' .. author .. ':' .. argv[4]
  local chat = direct and call('HMGET', chat_key, 'last', window_field, 'f:' .. author, 'te')
    or call('HMGET', chat_key, 'last', window_field, 'f:' .. author, 'te', 'ver', 'n')
  local last, window = chat[1], chat[2]
  local refusal = cid > 0 and send_check_window(window, chat[3], cid)
  if refusal then return refusal end
  local at = 11
  if direct then
    if author_at == 0 then return {3} end
    -- Who sends into a chat that is there needs no look: it went with the hub.
    if not last and not hub_there() then return other_hub() end
  else
    local count = tonumber(chat[6])
    refusal = send_check_group(argv, chat[5], count, author_at, by_task)
    if refusal then return refusal end
    by_task = by_task or count > INLINE_MEMBERS
    at = 14
  end
  by_task = by_task or task_open(part, chat[4])
  if by_task and call('LLEN', K_TASKS .. part) >= tonumber(argv[10]) then return {6} end

  local now = now_ms()
  local id = next_id(last, tonumber(argv[6]), now)
  local own = join_parts(argv, at + nshared, nown, id)
  -- The journal's length is checked by pushing, and taken back if that was one too many: saves a call.
  local journal = K_JOURNAL .. part
  if call('RPUSH', journal, own) > tonumber(argv[9]) then
    call('RPOP', journal)
    return {6}
  end

  local shared = join_parts(argv, at, nshared, id)
  local first = at + nshared + nown
  local reply = {0, id, 0}
  if cid > 0 then
    if not window then window_admit(chat_key, author, argv[4]) end
    call('HSET', chat_key, 'last', id, window_field, window_insert(window or '', cid, id))
  else
    call('HSET', chat_key, 'last', id)
  end
  if direct and not last then
    call('HSET', chat_key, 'ver', 1, 'n', #argv - first + 1, 'at', id_ms(id), 'by', author,
      'first', id)
  end
  if by_task then
    call('HSET', chat_key, 'te',
      task_push(part, argv[2], author, argv[4], shared, own, id, argv[7], now))
    reply[3] = 1
  else
    send_inline(argv, first, author_at, id, shared, own, now, reply)
  end
  return reply
end

register('nj_send', send)
