-- Starts to build the view of one cycle: empties it and marks it as being built at an epoch.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3] milliseconds until a build that stopped moving is forgotten
-- Output  the name of the build, which its apply and complete say | nil another build has this epoch or a later one
local epoch, leaseMs = tonumber(ARGV[2]), tonumber(ARGV[3])
if not epoch or not leaseMs then return redis.error_reply('ERR epoch and lease are numbers') end
local marked = standing()
if marked and marked >= epoch then return nil end

-- Named here and not by the caller: when all is lost and this very command arrives once more, it is another build.
local time = redis.call('TIME')
local build = time[1] .. '.' .. time[2]
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], VISIBLE, 0, BUILD, build)
redis.call('SET', KEYS[3], ARGV[2] .. '|building|' .. ARGV[1], 'PX', leaseMs)
return build
