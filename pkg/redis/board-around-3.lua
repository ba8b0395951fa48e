-- The entries around a subject of one cycle; no entries when it has none or is hidden.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3] subject   ARGV[4] entries at most
-- Output  nil the view is not whole at this epoch | {total, rank of the first from 0, {member, score, ...}}
if not isWhole(ARGV[2]) then return nil end
local limit = tonumber(ARGV[4])
local total = redis.call('ZCARD', KEYS[1])
local stored = redis.call('HGET', KEYS[2], ARGV[3])
local member = stored and string.sub(stored, string.find(stored, '|', 1, true) + 1) or ''
if member == '' then return { total, 0, {} } end
local rank = redis.call('ZRANK', KEYS[1], member)
if not rank then return redis.error_reply('ERR the view lost a member') end
local first = math.max(0, math.min(rank - math.floor((limit - 1) / 2), total - limit))
return { total, first, redis.call('ZRANGE', KEYS[1], first, first + limit - 1, 'WITHSCORES') }
