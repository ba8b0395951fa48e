-- Starts to build the view of one cycle: empties it and marks it as being built at an epoch.
-- KEYS[1] rank: sorted set of members, best first in ascending order
-- KEYS[2] rows: hash of subject -> 'revision|member'; the member is empty where the subject is hidden
-- KEYS[3] mark: 'epoch|building' or 'epoch|complete'
-- ARGV[1] epoch   ARGV[2] milliseconds until a build that stopped moving is forgotten
-- Output  1 begun | 0 another build has this epoch or a later one
local epoch, leaseMs = tonumber(ARGV[1]), tonumber(ARGV[2])
if not epoch or not leaseMs then return redis.error_reply('ERR epoch and lease are numbers') end
local mark = redis.call('GET', KEYS[3])
if mark and tonumber(string.match(mark, '^(%d+)|')) >= epoch then return 0 end

redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('SET', KEYS[3], ARGV[1] .. '|building', 'PX', leaseMs)
return 1
