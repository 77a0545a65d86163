-- Telling other brokers what a call did: a v1::Relayed to the channel relay:{p}:<broker id>, p the partition
-- of the call. Told are broker ids, once each, whatever incarnations a user's routes name; never the caller's own.
--
-- A user's "br" (inbox.lua) names the brokers; a call's own broker comes as "\n<broker>\n".

-- The id in "<broker>" or "\n<broker>\n".
local function broker_id(broker)
  return string.match(broker, '^\n?([^\n#]+)')
end

-- The name in a tail: "12}:alice" -> "alice".
local function tail_name(tail)
  return string.sub(tail, string.find(tail, '}', 1, true) + 2)
end

-- May this broker write no routes and tails in a partition ("p}") any more? (brokers.lua)
local function broker_fenced(part, broker)
  return call('ZSCORE', K_FENCED .. part, broker)
end

-- Returns how many listen there.
local function relay_publish(id, message)
  return call('SPUBLISH', K_RELAY .. here() .. ':' .. id, message)
end

-- The broker ids of a user's "br" but `own`.
local function relay_ids(brokers, own)
  local ids, seen = {}, {[own] = true}
  for id in string.gmatch(brokers, '\n([^\n#]+)') do
    if not seen[id] then
      seen[id] = true
      ids[#ids + 1] = id
    end
  end
  return ids
end

-- What a call tells of the entries it appends is collected in a table `told`, {broker = "\n<broker>\n"}
-- at first, and published at its end: one message a broker and entry, in the order of the entries' places
-- (numbers from 1; places may stay empty). `entry` still has its id's eight bytes in front.
local function relay_add(told, place, entry, tail, seq, brokers)
  local ids = relay_ids(brokers, broker_id(told.broker))
  if #ids == 0 then return end
  local by = told[place]
  if not by then
    by = {entry = entry, ids = {}, pieces = {}}
    told[place] = by
    if place > (told.last or 0) then told.last = place end
  end
  local piece = pb_bytes(2, tail_name(tail)) .. pb_number(3, seq)
  for i = 1, #ids do
    local pieces = by.pieces[ids[i]]
    if pieces then
      pieces[#pieces + 1] = piece
    else
      by.pieces[ids[i]] = {piece}
      by.ids[#by.ids + 1] = ids[i]
    end
  end
end

local function relay_flush(told)
  for place = 1, told.last or 0 do
    local by = told[place]
    if by then
      local entry = pb_bytes(1, string.sub(by.entry, 9))
      for i = 1, #by.ids do
        relay_publish(by.ids[i], entry .. table.concat(by.pieces[by.ids[i]]))
      end
    end
  end
end

-- A delivered mark of uid, to where an author is connected.
local function relay_mark(author_tail, chat_tail, uid, id, own)
  local brokers = call('HGET', K_USER .. author_tail, 'br')
  local ids = brokers and relay_ids(brokers, own) or {}
  if #ids == 0 then return end
  local message = pb_bytes(4, tail_name(author_tail)) .. pb_bytes(5, tail_name(chat_tail))
    .. pb_bytes(6, uid) .. pb_fixed64(7, id)
  for i = 1, #ids do relay_publish(ids[i], message) end
end

-- There is a new task: to the broker that works on the partition of `part` ("p}").
local function relay_task(part, broker, now)
  local _, owner = lease_holder(K_LEASE .. part .. ':fanout', now)
  local id = owner and broker_id(owner)
  if id and id ~= broker_id(broker) then
    relay_publish(id, pb_number(15, tonumber(string.match(part, '^%d+')) + 1))
  end
end
