-- As much protobuf writing as records made here need.

local function pb_varint(n)
  if n < 128 then return string.char(n) end
  local bytes = {}
  while n >= 128 do
    bytes[#bytes + 1] = string.char(n % 128 + 128)
    n = math.floor(n / 128)
  end
  bytes[#bytes + 1] = string.char(n)
  return table.concat(bytes)
end

-- A field of bytes; left out if empty, as proto3 does.
local function pb_bytes(number, s)
  if s == '' then return '' end
  return pb_varint(number * 8 + 2) .. pb_varint(#s) .. s
end

local function pb_number(number, n)
  if n == 0 then return '' end
  return pb_varint(number * 8) .. pb_varint(n)
end

local function pb_fixed64(number, eight)
  return pb_varint(number * 8 + 1) .. eight
end
