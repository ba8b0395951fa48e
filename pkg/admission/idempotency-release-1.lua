-- Gives a claim back, if it is still this token's and has no answer.
-- KEYS[1] the key   ARGV[1] token
-- Output  1 released | 0 not this token's
local held = redis.call('HMGET', KEYS[1], 't', 's')
if held[1] ~= ARGV[1] or held[2] then return 0 end
return redis.call('DEL', KEYS[1])
