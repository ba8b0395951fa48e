-- Keeps the answer, if the claim is still this token's.
-- KEYS[1] the key   ARGV[1] token   ARGV[2] status   ARGV[3] body   ARGV[4] milliseconds to keep it
-- Output  1 kept | 0 the lease was lost
if redis.call('HGET', KEYS[1], 't') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 's', ARGV[2], 'b', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
