-- Starts to build the view of one cycle: empties it and marks it as being built at an epoch.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3] milliseconds until a build that stopped moving is forgotten
-- Output  1 begun | 0 another build has this epoch or a later one
local epoch, leaseMs = tonumber(ARGV[2]), tonumber(ARGV[3])
if not epoch or not leaseMs then return redis.error_reply('ERR epoch and lease are numbers') end
local marked = standing()
if marked and marked >= epoch then return 0 end

redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], VISIBLE, 0)
redis.call('SET', KEYS[3], ARGV[2] .. '|building|' .. ARGV[1], 'PX', leaseMs)
return 1
