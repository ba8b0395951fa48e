-- What the view of one cycle holds of named subjects: for an audit, which compares it with the truth.
-- KEYS[1] rank   KEYS[2] rows   KEYS[3] mark (see board-begin-3.lua)
-- ARGV[1] epoch   ARGV[2..] subjects, at most a few hundred
-- Output  nil the view is not whole at this epoch | per subject two texts: '<revision>|<member>' or '', and its score or ''
if redis.call('GET', KEYS[3]) ~= ARGV[1] .. '|complete' then return nil end
local found = {}
for i = 2, #ARGV do
  local stored = redis.call('HGET', KEYS[2], ARGV[i]) or ''
  local bar = string.find(stored, '|', 1, true)
  local member = bar and string.sub(stored, bar + 1) or ''
  found[#found + 1] = stored
  found[#found + 1] = member ~= '' and redis.call('ZSCORE', KEYS[1], member) or ''
end
return found
