-- Putting entries into inboxes: the one procedure behind send, append and the chat changes.
--
-- inbox:{p}:<uid> is a list of entries, each with its id's eight bytes in front. The entry at list
-- index i has seq base + 1 + i; base is in the user's hash, and head is base + the list's length, so
-- that appending writes nothing into the user's hash.
--
-- chats:{p}:<uid> maps a chat to the newest id appended for the user. append asks it whether an entry is
-- there already; what is appended inline need not ask, since its id was given in the same call and is
-- beyond all that were.
--
-- Fields of user:{p}:<uid> looked at here: "base"; "br" = "<number of routes>\n" and then, each followed
-- by '\n', the brokers that hold a route or a tail (kept by sessions.lua); "dv" = the known devices,
-- each followed by ','; "tl" there if there are tails; "owed".

local INBOX_ENTRIES = 10000
local INBOX_MS = 30 * 24 * 3600 * 1000

-- Drops up to `most` entries from the front that are older than 30 days. Returns the base.
local function inbox_drop_old(tail, base, now, most)
  local inbox = K_INBOX .. tail
  local gone = 0
  while gone < most do
    local entry = call('LINDEX', inbox, gone)
    if not entry or id_ms(entry) >= now - INBOX_MS then break end
    gone = gone + 1
  end
  if gone == 0 then return base end
  call('LTRIM', inbox, gone, -1)
  call('HSET', K_USER .. tail, 'base', base + gone)
  return base + gone
end

-- The user has no route: a push is owed from seq on.
local function inbox_owe(tail, seq, now)
  local owed = call('HGET', K_USER .. tail, 'owed')
  if not owed then call('HSET', K_USER .. tail, 'owed', seq) end
  local brace = string.find(tail, '}', 1, true)
  call('ZADD', K_DUE .. string.sub(tail, 1, brace), 'NX', now, string.sub(tail, brace + 2))
end

-- Holds an inbox that has just grown by `count` entries to its bounds. Returns its head.
local function inbox_grown(tail, base, length, count, now)
  local head = base + length
  if length > INBOX_ENTRIES then
    base = base + length - INBOX_ENTRIES
    call('LTRIM', K_INBOX .. tail, -INBOX_ENTRIES, -1)
    call('HSET', K_USER .. tail, 'base', base)
  end
  if head % 16 < count then inbox_drop_old(tail, base, now, 32) end
  return head
end

-- Is a user of these `brokers` ("br", or false) without any route?
local function inbox_unrouted(brokers)
  return not brokers or string.byte(brokers) == 48
end

-- The user has `entry` at `seq`: has the other brokers of "br" told (relay.lua). Returns the seq if the
-- caller is to be told, else nil. That it is alone is seen by the length: any other name would take two
-- bytes more than the second digit of the number of routes.
local function inbox_tell(tail, entry, seq, brokers, told, place)
  local broker = told.broker
  local here = string.find(brokers, broker, 1, true)
  if not here or #brokers > #broker + 2 then relay_add(told, place, entry, tail, seq, brokers) end
  return here and seq
end

-- Appends `entry` (with the id's bytes in front) to the inbox of the user of `tail`. `mine`: written
-- by this user, so that nothing is owed. `told` and `place`: see relay.lua.
-- Returns the seq if the calling broker is to be told, else nil.
local function inbox_push(tail, entry, mine, told, place, now)
  local user = call('HMGET', K_USER .. tail, 'base', 'br')
  local length = call('RPUSH', K_INBOX .. tail, entry)
  local seq = inbox_grown(tail, tonumber(user[1] or 0), length, 1, now)
  local brokers = user[2]
  if not mine and inbox_unrouted(brokers) then inbox_owe(tail, seq, now) end
  return brokers and inbox_tell(tail, entry, seq, brokers, told, place)
end

-- The author's part of a message: the chat list learns the id; the copy is left out if the sending
-- device is the only one known and nobody watches. Else as inbox_push.
local function inbox_push_own(tail, device, entry, told, place, now)
  local user = call('HMGET', K_USER .. tail, 'dv', 'tl')
  if user[1] == device .. ',' and not user[2] then return nil end
  return inbox_push(tail, entry, true, told, place, now)
end
