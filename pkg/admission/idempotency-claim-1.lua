-- Claims an idempotency key, or tells what became of the first request with it.
-- KEYS[1] the key: hash of f(ingerprint), t(oken) and, once answered, s(tatus) and b(ody)
-- ARGV[1] fingerprint   ARGV[2] token   ARGV[3] lease in milliseconds
-- Output  {'claimed'} | {'answered', status, body} | {'reused'} | {'in-progress', milliseconds left of the lease}
local held = redis.call('HMGET', KEYS[1], 'f', 's', 'b')
if not held[1] then
  redis.call('HSET', KEYS[1], 'f', ARGV[1], 't', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return { 'claimed' }
end
if held[1] ~= ARGV[1] then return { 'reused' } end
if held[2] then return { 'answered', held[2], held[3] } end
return { 'in-progress', tostring(redis.call('PTTL', KEYS[1])) }
