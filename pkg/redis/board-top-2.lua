-- A page of one cycle, from the best or after a place. The place need not be held by anyone any more.
-- KEYS[1] rank   KEYS[2] mark (see board-begin-3.lua)
-- ARGV[1] epoch   ARGV[2] entries at most   ARGV[3] score of the place or ''   ARGV[4] member of the place
-- Output  nil the view is not whole at this epoch | {total, rank of the first from 0, {member, score, ...}}
if redis.call('GET', KEYS[2]) ~= ARGV[1] .. '|complete' then return nil end

-- Lua compares text by the server's locale; members are ordered by their bytes.
local function isAfter(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x > y end
  end
  return #a > #b
end

local first = 0
if ARGV[3] ~= '' then
  first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3])
  local last = first + redis.call('ZCOUNT', KEYS[1], ARGV[3], ARGV[3])
  while first < last do
    local middle = math.floor((first + last) / 2)
    if isAfter(redis.call('ZRANGE', KEYS[1], middle, middle)[1], ARGV[4]) then
      last = middle
    else
      first = middle + 1
    end
  end
end
local page = redis.call('ZRANGE', KEYS[1], first, first + tonumber(ARGV[2]) - 1, 'WITHSCORES')
return { redis.call('ZCARD', KEYS[1]), first, page }
