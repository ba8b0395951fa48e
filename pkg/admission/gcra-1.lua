-- One step of the generic cell rate algorithm; the same arithmetic as gcra.ts.
-- KEYS[1] the bucket: its theoretical arrival time in milliseconds of this server's clock, absent when full
-- ARGV[1] cost in units   ARGV[2] units per second   ARGV[3] burst in units   ARGV[4] tolerance in milliseconds
-- Output  {1 allowed | 0 refused, theoretical arrival time after the step, now}; times as text, because RESP cuts numbers
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000
local cost, burst = tonumber(ARGV[1]), tonumber(ARGV[3])
local interval = 1000 / tonumber(ARGV[2])
local tat = tonumber(redis.call('GET', KEYS[1]) or '0')
local start = math.max(tat, now)
local room = (burst - math.min(cost, burst)) * interval

local allowed = 0
if start - now <= room + tonumber(ARGV[4]) then
  allowed = 1
  tat = start + cost * interval
  redis.call('SET', KEYS[1], string.format('%.17g', tat), 'PX', math.ceil(tat - now) + 1)
end
return { allowed, string.format('%.17g', tat), string.format('%.17g', now) }
