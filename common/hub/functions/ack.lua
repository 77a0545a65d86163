-- Acknowledgements: nj_ack, and nj_mark and nj_tell_mark, which are its parts that concern chats and
-- authors, for where these live elsewhere.

local RECEIPT_MEMBERS = 32

-- Moves uid's mark in a chat. Returns nil if it does not grow, else whether authors are to be told.
local function mark_move(kind, tail, uid, id)
  local chat_key = K_CHAT .. tail
  if kind == 'd' then
    local c = call('HMGET', chat_key, 'last', 'd:' .. uid)
    if not c[1] or (c[2] and not id_below(c[2], id)) then return nil end
    call('HSET', chat_key, 'd:' .. uid, id)
    return 1
  end
  local count = call('HGET', chat_key, 'n')
  if not count or call('HEXISTS', K_MEMBERS .. tail, uid) == 0 then return nil end
  local have = call('HGET', K_DELIVERED .. tail, uid)
  if have and not id_below(have, id) then return nil end
  call('HSET', K_DELIVERED .. tail, uid, id)
  return tonumber(count) <= RECEIPT_MEMBERS and 1 or 0
end

-- nj_ack: a device has everything up to seq. Marks first, then the cursor.
-- KEYS  1 user:{p}:<uid>
-- ARGV  1 user's tail  2 uid  3 device  4 epoch  5 seq  6 the calling broker's id, then for each mark: "d"
--       or "g", the chat's tail, the chat's "p}", the id's bytes, the journal's record, how many authors,
--       the authors' tails
-- Reply {0, acked, mark, tell 0/1, mark, tell, ...} done, with the marks (from 1) that moved
--       {1, acked} beyond head  {2} other epoch  {3} unknown device
local function ack(keys, argv)
  local user, tail, uid, device = keys[1], argv[1], argv[2], argv[3]
  local seq = tonumber(argv[5])
  local epoch = call('HGET', K_HUB .. here(), 'epoch')
  if epoch ~= argv[4] then return epoch and {2} or other_hub() end
  local u = call('HMGET', user, 'base', 'dv', 'owed', 'a:' .. device, 'z:' .. device)
  local had = tonumber(u[4] or nil)
  if not had then return {3} end
  local base = tonumber(u[1] or 0)
  local head = base + call('LLEN', K_INBOX .. tail)
  if seq > head then return {1, had} end

  local reply, at, mark = {0, had}, 7, 0
  while at <= #argv do
    local authors = tonumber(argv[at + 5])
    local tell = mark_move(argv[at], argv[at + 1], uid, argv[at + 3])
    mark = mark + 1
    if tell then
      call('RPUSH', K_JOURNAL .. argv[at + 2], argv[at + 4])
      reply[#reply + 1] = mark
      reply[#reply + 1] = tell
      if tell == 1 then
        for i = at + 6, at + 5 + authors do
          relay_mark(argv[i], argv[at + 1], uid, argv[at + 3], argv[6])
        end
      end
    end
    at = at + 6 + authors
  end

  local acked = had
  if seq > had then
    acked = seq
    reply[2] = seq
  end
  local most, least = acked, acked
  if #u[2] ~= #device + 1 then
    if acked > had then call('HSET', user, 'a:' .. device, acked) end
    most, least = acked_range(user, u[2])
    if least > base then call('HSET', user, 'base', least) end
  elseif least > base then
    call('HSET', user, 'a:' .. device, acked, 'base', least)
  elseif acked > had then
    call('HSET', user, 'a:' .. device, acked)
  end
  if least > base then call('LTRIM', K_INBOX .. tail, least - base, -1) end
  -- Less than it has: asked before the resync that took it further, and the device may not know of that.
  if u[5] and seq >= had then call('HDEL', user, 'z:' .. device) end
  owed_settle(user, tail, u[3], most, head)
  return reply
end

-- nj_mark: uid's mark in one chat.
-- KEYS  1 chat:{p}:<chat>
-- ARGV  1 uid, then as of a mark of nj_ack: "d" or "g", the chat's tail, the chat's "p}", the id's bytes, the
--       journal's record
-- Reply {moved 0/1, tell 0/1}
local function mark(keys, argv)
  local tell = mark_move(argv[2], argv[3], argv[1], argv[5])
  if tell then
    call('RPUSH', K_JOURNAL .. argv[4], argv[6])
    return {1, tell}
  end
  if call('EXISTS', keys[1]) == 0 and not hub_there() then return other_hub() end
  return {0, 0}
end

-- nj_tell_mark: a mark that moved, to the other brokers of one author.
-- KEYS  1 user:{p}:<author>
-- ARGV  1 author's tail  2 chat's tail  3 uid  4 the id's bytes  5 the calling broker's id
-- Reply 1
local function tell_mark(keys, argv)
  relay_mark(argv[1], argv[2], argv[3], argv[4], argv[5])
  return 1
end

register('nj_ack', ack, 'allow-oom')
register('nj_mark', mark, 'allow-oom')
register('nj_tell_mark', tell_mark, 'allow-oom')
