-- A page of one cycle, from the best or after a place. The place need not be held by anyone any more.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3] entries at most   ARGV[4] score of the place or ''   ARGV[5] member of the place
-- Output  nil the view is not whole at this epoch | {total, rank of the first from 0, {member, score, ...}}
if not isWhole(ARGV[2]) then return nil end

-- Lua compares text by the server's locale; members are ordered by their bytes.
local function isAfter(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local first = 0
if ARGV[4] ~= '' then
  first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[4])
  local last = first + redis.call('ZCOUNT', KEYS[1], ARGV[4], ARGV[4])
  while first < last do
    local middle = math.floor((first + last) / 2)
    if isAfter(redis.call('ZRANGE', KEYS[1], middle, middle)[1], ARGV[5]) then
      last = middle
    else
      first = middle + 1
    end
  end
end
local page = redis.call('ZRANGE', KEYS[1], first, first + tonumber(ARGV[3]) - 1, 'WITHSCORES')
return { redis.call('ZCARD', KEYS[1]), first, page }
