-- The hub's clock: Redis's own, in Unix milliseconds. Alone in this file so that tests can put a
-- clock of theirs in its place (testing/clock.lua).

local function now_ms()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
