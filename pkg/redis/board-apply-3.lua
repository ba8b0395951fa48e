-- Sets rows of one cycle to their truth, each only where its revision is newer. Running it again changes nothing.
-- KEYS    see board.lua
-- ARGV[1] life   ARGV[2] epoch that the truth had when the rows were read
-- ARGV[3] the build that the caller makes; '' when it makes none   ARGV[4] milliseconds to renew the mark of that build by
-- ARGV[5] UTC milliseconds at which the cycle is forgotten; 0 never
-- then per row four, no subject twice: subject, revision, score in ascending order or '' when hidden, time reached in 15 digits
-- Output  rows changed | -1 the view is absent, older than the epoch or of another build | -2 the view is newer than the epoch
local epoch, leaseMs, expireAtMs = tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5])
if not epoch or not leaseMs or not expireAtMs or (#ARGV - 5) % 4 ~= 0 then
  return redis.error_reply('ERR epoch, lease, expiry and rows of four are wanted')
end
local isBuilder = ARGV[3] ~= ''
local marked, state = standing()
if not marked or marked < epoch then return -1 end
if marked > epoch then return -2 end
if isBuilder and not isOfBuild(ARGV[3]) then return -1 end

local subjects, known = {}, {}
for i = 6, #ARGV, 4 do
  local hidden = ARGV[i + 2] == ''
  local isNumeric = string.match(ARGV[i + 1], '^%d+$') and (hidden or string.match(ARGV[i + 2], '^-?%d+$'))
  if not isNumeric or not string.match(ARGV[i + 3], '^%d+$') or #ARGV[i + 3] ~= 15 then
    return redis.error_reply('ERR revision and score are whole numbers, the time has 15 digits')
  end
  subjects[#subjects + 1] = ARGV[i]
end
if #subjects > 0 then known = redis.call('HMGET', KEYS[2], unpack(subjects)) end

local changed, gone, ranked, rows = 0, {}, {}, {}
for i, subject in ipairs(subjects) do
  local at = i * 4 + 2
  local revision = tonumber(ARGV[at + 1])
  local stored = known[i]
  local bar = stored and string.find(stored, '|', 1, true)
  if not stored or tonumber(string.sub(stored, 1, bar - 1)) < revision then
    local member = ''
    if ARGV[at + 2] ~= '' then
      member = ARGV[at + 3] .. ':' .. subject
      ranked[#ranked + 1] = ARGV[at + 2]
      ranked[#ranked + 1] = member
    end
    local before = stored and string.sub(stored, bar + 1) or ''
    if before ~= '' and before ~= member then gone[#gone + 1] = before end
    rows[#rows + 1] = subject
    rows[#rows + 1] = ARGV[at + 1] .. '|' .. member
    changed = changed + 1
  end
end

if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
if #ranked > 0 then redis.call('ZADD', KEYS[1], unpack(ranked)) end
if #rows > 0 then redis.call('HSET', KEYS[2], VISIBLE, redis.call('ZCARD', KEYS[1]), unpack(rows)) end
local building = state == 'building'
if building and isBuilder then redis.call('PEXPIRE', KEYS[3], leaseMs) end
if expireAtMs > 0 then
  redis.call('PEXPIREAT', KEYS[1], expireAtMs)
  redis.call('PEXPIREAT', KEYS[2], expireAtMs)
  if not building then redis.call('PEXPIREAT', KEYS[3], expireAtMs) end
end
return changed
