-- The repeat window of one sending device in one chat: the 16 highest (client_msg_id, msg_id), one
-- string of 16-byte pairs in ascending order of client_msg_id, each '<I8' then the id's eight bytes.
--
-- Fields in the chat's hash: "w:<uid>:<device>" the window, "x:<uid>" the user's sending devices
-- (each followed by ','), "f:<uid>" the floor.

local WINDOW_PAIRS = 16
local WINDOW_DEVICES = 16

-- The msg_id under client id cid, or nil; and whether cid is below all that a full window remembers.
-- A sender's ids grow, so the usual answer comes from the last pair.
local function window_find(window, cid)
  local at = #window - 15
  while at >= 1 do
    local have = unpack_bytes('<I8', window, at)
    if cid > have then return nil, false end
    if cid == have then return string.sub(window, at + 8, at + 15), false end
    at = at - 16
  end
  return nil, #window >= WINDOW_PAIRS * 16
end

-- The window with (cid, id) in it. cid is not in it yet, and not below it if it is full.
local function window_insert(window, cid, id)
  local full = #window >= WINDOW_PAIRS * 16
  local at = #window - 15
  while at >= 1 and unpack_bytes('<I8', window, at) > cid do at = at - 16 end
  local from = full and 17 or 1
  if at + 15 == #window then
    return string.sub(window, from) .. pack_bytes('<I8', cid) .. id
  end
  return string.sub(window, from, at + 15) .. pack_bytes('<I8', cid) .. id
    .. string.sub(window, at + 16)
end

-- Forgets, of a user's devices in this chat, the one whose newest send is oldest: the floor rises to its highest
-- client id. Takes it from `devices`.
local function window_forget(chat_key, uid, devices)
  local fields = {}
  for i = 1, #devices do fields[i] = 'w:' .. uid .. ':' .. devices[i] end
  local windows = call('HMGET', chat_key, unpack(fields))
  local oldest, oldest_newest, oldest_top
  for i = 1, #devices do
    local w = windows[i] or ''
    local newest = NO_ID
    for at = 9, #w, 16 do
      local id = string.sub(w, at, at + 7)
      if id_below(newest, id) then newest = id end
    end
    if not oldest or id_below(newest, oldest_newest) then
      oldest, oldest_newest = i, newest
      oldest_top = #w >= 16 and unpack_bytes('<I8', w, #w - 15) or 0
    end
  end
  local floor = tonumber(call('HGET', chat_key, 'f:' .. uid) or 0)
  if oldest_top > floor then call('HSET', chat_key, 'f:' .. uid, oldest_top) end
  call('HDEL', chat_key, fields[oldest])
  table.remove(devices, oldest)
end

-- A device's first window in this chat: puts it on the user's list, and has another forgotten if that makes
-- one too many.
local function window_admit(chat_key, uid, device)
  local devices = {}
  for name in string.gmatch(call('HGET', chat_key, 'x:' .. uid) or '', '[^,]+') do
    devices[#devices + 1] = name
  end
  if #devices >= WINDOW_DEVICES then window_forget(chat_key, uid, devices) end
  devices[#devices + 1] = device
  call('HSET', chat_key, 'x:' .. uid, table.concat(devices, ',') .. ',')
end
