-- The state of the view of one cycle (see board.lua).
-- ARGV[1] life
-- Output  nil there is none | 'epoch|building' | 'epoch|complete'
local epoch, state = standing()
if not epoch then return nil end
return string.format('%.0f|%s', epoch, state)
