-- What the view of one cycle holds of named subjects: for an audit, which compares it with the truth.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch   ARGV[3..] subjects, at most a few hundred
-- Output  nil the view is not whole at this epoch | per subject two texts: '<revision>|<member>' or '', and its score or ''
if not isWhole(ARGV[2]) then return nil end
local found = {}
for i = 3, #ARGV do
  local stored = redis.call('HGET', KEYS[2], ARGV[i]) or ''
  local bar = string.find(stored, '|', 1, true)
  local member = bar and string.sub(stored, bar + 1) or ''
  found[#found + 1] = stored
  found[#found + 1] = member ~= '' and redis.call('ZSCORE', KEYS[1], member) or ''
end
return found
