-- In place of clock.lua for tests: the time is what the key test:clock says, if it is there.

local function now_ms()
  local set = call('GET', 'test:clock')
  if set then return tonumber(set) end
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
