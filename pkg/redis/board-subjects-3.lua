-- The places of named subjects of one cycle, those that have one.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3..] subjects
-- Output  nil the view is not whole at this epoch | {total, {rank from 0, member, score, ...}}
if not isWhole(ARGV[2]) then return nil end
local found = {}
for i = 3, #ARGV do
  local stored = redis.call('HGET', KEYS[2], ARGV[i])
  local member = stored and string.sub(stored, string.find(stored, '|', 1, true) + 1) or ''
  if member ~= '' then
    local rank = redis.call('ZRANK', KEYS[1], member)
    if not rank then return redis.error_reply('ERR the view lost a member') end
    found[#found + 1] = rank
    found[#found + 1] = member
    found[#found + 1] = redis.call('ZSCORE', KEYS[1], member)
  end
end
return { redis.call('ZCARD', KEYS[1]), found }
