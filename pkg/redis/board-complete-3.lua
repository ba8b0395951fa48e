-- Declares a build whole, if its mark still stands.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3] the build   ARGV[4] UTC milliseconds at which the cycle is forgotten; 0 never
-- Output  1 complete | 0 it is another build's, or something of the view is gone
local expireAtMs = tonumber(ARGV[4])
if not tonumber(ARGV[2]) or not expireAtMs then return redis.error_reply('ERR epoch and expiry are numbers') end
local epoch, state = standing()
if epoch ~= tonumber(ARGV[2]) or state ~= 'building' or not isOfBuild(ARGV[3]) then return 0 end

redis.call('SET', KEYS[3], ARGV[2] .. '|complete|' .. ARGV[1])
if expireAtMs > 0 then
  for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], expireAtMs) end
end
return 1
