-- Taking back from the store what the hub has lost or let go of. Everything merges: repeated, in parts and in any order
-- it comes to the same, and what happens in the hub meanwhile is kept.

-- The greater of two ids' bytes; `a` may be false.
local function id_most(a, b)
  return a and not id_below(a, b) and a or b
end

-- The pairs of two windows, the 16 with the highest client ids. Of one client id the lower msg_id stays: the message
-- that was accepted first.
local function window_merge(a, b)
  local ids, order = {}, {}
  for _, window in ipairs({a, b}) do
    for at = 1, #window, 16 do
      local cid, id = string.sub(window, at, at + 7), string.sub(window, at + 8, at + 15)
      if not ids[cid] then order[#order + 1] = cid end
      if not ids[cid] or id_below(id, ids[cid]) then ids[cid] = id end
    end
  end
  table.sort(order, id_below)
  local merged = {}
  for i = math.max(1, #order - WINDOW_PAIRS + 1), #order do
    merged[#merged + 1] = order[i] .. ids[order[i]]
  end
  return table.concat(merged)
end

-- A device's window of a user who may have too many devices by it: then one is forgotten (window.lua), this or another.
local function restore_window(chat_key, uid, device, window)
  local field = 'w:' .. uid .. ':' .. device
  local have = call('HGET', chat_key, field)
  call('HSET', chat_key, field, window_merge(have or '', window))
  if have then return end
  local devices = {}
  for name in string.gmatch(call('HGET', chat_key, 'x:' .. uid) or '', '[^,]+') do
    devices[#devices + 1] = name
  end
  devices[#devices + 1] = device
  if #devices > WINDOW_DEVICES then window_forget(chat_key, uid, devices) end
  call('HSET', chat_key, 'x:' .. uid, table.concat(devices, ',') .. ',')
end

-- A member's row ("<joined><left><partition>") takes the place of one there, with its times before, if its span is
-- newer: if what happened last in it did so later. Returns how many members the chat has more by it, nil if the row stays as it is.
local function restore_member(members, uid, row)
  local have = call('HGET', members, uid)
  if have then
    local last = id_most(string.sub(have, 1, 8), string.sub(have, 9, 16))
    if not id_below(last, id_most(string.sub(row, 1, 8), string.sub(row, 9, 16))) then return nil end
  end
  call('HSET', members, uid, row)
  return (member_present(row) and 1 or 0) - (member_present(have) and 1 or 0)
end

-- A version of the membership that no broker remembers of the hub before: those counted changes, from 1 or from the ms
-- of an earlier time.
local function restore_version(version)
  return string.format('%.0f', math.max((tonumber(version) or 0) + 1, now_ms() - EPOCH_FROM_S * 1000))
end

-- The record of a chat, which exists from here on if it did not. The creation of a direct chat is that of its first
-- message, so the lower id has it right.
local function restore_record(chat_key, direct, c, argv)
  call('HSET', chat_key, 'last', id_most(c[1], argv[8]))
  if not direct then
    call('HSETNX', chat_key, 'title', argv[5])
    call('HSETNX', chat_key, 'at', argv[6])
    call('HSETNX', chat_key, 'by', argv[7])
    call('HSETNX', chat_key, 'n', 0)
    return
  end
  call('HSETNX', chat_key, 'ver', 1)
  call('HSETNX', chat_key, 'n', argv[10])
  if argv[9] ~= NO_ID and (not c[4] or id_below(argv[9], c[4])) then
    call('HSET', chat_key, 'first', argv[9], 'at', argv[6], 'by', argv[7])
  end
end

-- nj_restore_chat: what the store has of a chat, or a part of it.
-- KEYS 1 chat:{p}:<chat>
-- ARGV 1 chat's tail 2 members 3 marks 4 windows: how many follow 5 title 6 created (ms) 7 by 8 newest id; zeros: of
--      this field and the three before nothing is said 9 a direct chat's first id 10 its number of members, 0: a group;
--      then uid and row of each member, uid and id of each mark, uid, device and window of each window, uid and client
--      id of each floor
-- Reply 1
local function restore_chat(keys, argv)
  local chat_key, tail, direct = keys[1], argv[1], argv[10] ~= '0'
  local c = call('HMGET', chat_key, 'last', 'ver', 'lf', 'first')
  local at, more, changed = 11, 0, false
  for _ = 1, tonumber(argv[2]) do
    local by = restore_member(K_MEMBERS .. tail, argv[at], argv[at + 1])
    if by then
      local left = string.sub(argv[at + 1], 9, 16)
      if left ~= NO_ID and (not c[3] or id_below(left, c[3])) then
        c[3] = left
        call('HSET', chat_key, 'lf', left)
      end
      more, changed = more + by, true
    end
    at = at + 2
  end
  for _ = 1, tonumber(argv[3]) do
    local key, field = K_DELIVERED .. tail, argv[at]
    if direct then key, field = chat_key, 'd:' .. field end
    call('HSET', key, field, id_most(call('HGET', key, field), argv[at + 1]))
    at = at + 2
  end
  for _ = 1, tonumber(argv[4]) do
    restore_window(chat_key, argv[at], argv[at + 1], argv[at + 2])
    at = at + 3
  end
  for i = at, #argv, 2 do
    local field = 'f:' .. argv[i]
    if tonumber(argv[i + 1]) > tonumber(call('HGET', chat_key, field) or 0) then
      call('HSET', chat_key, field, argv[i + 1])
    end
  end
  if argv[8] ~= NO_ID then restore_record(chat_key, direct, c, argv) end
  if more ~= 0 then call('HINCRBY', chat_key, 'n', more) end
  -- Without a version there is no group: the first one comes with the newest id.
  if not direct and (c[2] and changed or not c[2] and argv[8] ~= NO_ID) then
    call('HSET', chat_key, 'ver', restore_version(c[2]))
  end
  return 1
end

-- nj_restore_user: what the store has of a user, or a part of it.
-- KEYS 1 user:{p}:<uid>
-- ARGV 1 user's tail 2 "p}" 3 name 4 email 5 chats: how many follow; then chat and newest id of each, then push fields and
--      their values
-- Reply 1
local function restore_user(keys, argv)
  local user, tail = keys[1], argv[1]
  -- Entries begin at 2, so that devices that the hub does not know are behind what went before, and are told so. What
  -- is numbered already moves up by one if nobody goes by these numbers any more.
  local u = call('HMGET', user, 'base', 'dv', 'name', 'email')
  if (u[1] or '0') == '0'
    and ((u[2] or '') == '' or call('HEXISTS', K_HUB .. argv[2], 'closed') == 1) then
    call('HSET', user, 'base', 1)
  end
  if argv[3] ~= '' and (u[3] or '') == '' then call('HSET', user, 'name', argv[3]) end
  if argv[4] ~= '' and (u[4] or '') == '' then call('HSET', user, 'email', argv[4]) end
  local at = 6
  for _ = 1, tonumber(argv[5]) do
    call('HSET', K_CHATS .. tail, argv[at], id_most(call('HGET', K_CHATS .. tail, argv[at]), argv[at + 1]))
    at = at + 2
  end
  for i = at, #argv, 2 do call('HSETNX', K_PUSH .. tail, argv[i], argv[i + 1]) end
  return 1
end

-- nj_rebuild: closes partitions, or opens those that are closed.
-- hub:{p} of a closed one has no "epoch" but "closed", the epoch before (0: none was).
-- KEYS 1 hub:{p} of the first  ARGV 1 "1" close, "0" open, then each partition's "p}"
-- Reply 1; an error if a persister holds one that is to be closed: it may be about to store what would be looked for
-- before it is there
local function rebuild(keys, argv)
  for i = 2, #argv do
    local _, owner = lease_holder(K_LEASE .. argv[i] .. ':persist', now_ms())
    if owner and argv[1] == '1' and call('HEXISTS', K_HUB .. argv[i], 'closed') == 0 then
      return redis.error_reply('HELD a persister is at work (' .. owner .. '): stop it first; one that was killed '
        .. 'is forgotten after some seconds')
    end
  end
  for i = 2, #argv do
    local hub = K_HUB .. argv[i]
    local h = call('HMGET', hub, 'closed', 'epoch')
    if argv[1] == '1' and not h[1] then
      call('HSET', hub, 'closed', h[2] or 0)
      call('HDEL', hub, 'epoch')
    elseif argv[1] == '0' and h[1] then
      call('HSET', hub, 'epoch', next_epoch(hub, tonumber(h[1])))
      call('HDEL', hub, 'closed')
    end
  end
  return 1
end

register('nj_restore_chat', restore_chat)
register('nj_restore_user', restore_user)
register('nj_rebuild', rebuild, 'allow-oom')
