-- Message ids. An id is 64 bits, more than a Lua number holds: it is kept as the eight bytes of a
-- protobuf fixed64 (little-endian), and compared as two halves. The id is ms * 2^20 + sequence.

local NO_ID = '\0\0\0\0\0\0\0\0'

-- Is id a below id b?
local function id_below(a, b)
  local alow, ahigh = unpack_bytes('<I4I4', a)
  local blow, bhigh = unpack_bytes('<I4I4', b)
  return ahigh < bhigh or (ahigh == bhigh and alow < blow)
end

-- The milliseconds of an id, read from the bytes of s at position `at`.
local function id_ms(s, at)
  local low, high = unpack_bytes('<I4I4', s, at or 1)
  return high * 4096 + math.floor(low / 1048576)
end

-- The id that follows `last` (its bytes, or false) for something received at `received` while the
-- hub's clock shows `now`. NextMsgId in common/wire/msg_id.h is the same in C++.
local function next_id(last, received, now)
  if received > now then received = now end
  if received < now - 10000 then received = now - 10000 end
  local high = math.floor(received / 4096)
  local low = (received % 4096) * 1048576
  if last then
    local last_low, last_high = unpack_bytes('<I4I4', last)
    if last_high > high or (last_high == high and last_low >= low) then
      low, high = last_low + 1, last_high
      if low == 4294967296 then low, high = 0, high + 1 end
    end
  end
  return pack_bytes('<I4I4', low, high)
end
