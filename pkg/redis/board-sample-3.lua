-- Members of one cycle for an audit: the best, and some from a place that the caller draws.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3] members at most of each   ARGV[4] the place as parts of a million
-- Output  nil the view is not whole at this epoch | {member, score, ...}
if not isWhole(ARGV[2]) then return nil end
local count = tonumber(ARGV[3])
local first = math.floor(redis.call('ZCARD', KEYS[1]) * tonumber(ARGV[4]) / 1000000)
local found = {}
for _, start in ipairs({ 0, first }) do
  for _, text in ipairs(redis.call('ZRANGE', KEYS[1], start, start + count - 1, 'WITHSCORES')) do
    found[#found + 1] = text
  end
end
return found
