-- Declares a build whole, if its mark still stands.
-- KEYS[1] rank   KEYS[2] rows   KEYS[3] mark (see board-begin-3.lua)
-- ARGV[1] epoch   ARGV[2] UTC milliseconds at which the cycle is forgotten; 0 never
-- Output  1 complete | 0 the mark is another's or gone
local expireAtMs = tonumber(ARGV[2])
if not tonumber(ARGV[1]) or not expireAtMs then return redis.error_reply('ERR epoch and expiry are numbers') end
if redis.call('GET', KEYS[3]) ~= ARGV[1] .. '|building' then return 0 end

redis.call('SET', KEYS[3], ARGV[1] .. '|complete')
if expireAtMs > 0 then
  for i = 1, 3 do redis.call('PEXPIREAT', KEYS[i], expireAtMs) end
end
return 1
