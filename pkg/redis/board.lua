-- Stands before every script of a board's view. Its keys, one Cluster slot:
-- KEYS[1] rank: sorted set of members, best first in ascending order
-- KEYS[2] rows: hash of subject -> 'revision|member'; the member is empty where the subject is hidden. Of two fields that no
--         subject can have one tells how many members rank has, the other which build made the view.
-- KEYS[3] mark: 'epoch|building|life' or 'epoch|complete|life', where life is the run_id of the server that was told so
--         and the life of the database that it shows.
-- ARGV[1] life of the server as the caller learned it when it connected, and of the database.
local VISIBLE = '\0visible'
local BUILD = '\0build'

-- The epoch and state of the view. nil when there is none: no mark, a mark of another life (it came back with old rows from
-- a disk or by a failover), or a lost key of the three.
local function standing()
  local epoch, state, life = string.match(redis.call('GET', KEYS[3]) or '', '^(%d+)|(%a+)|(.*)$')
  if not epoch or life ~= ARGV[1] then return nil end
  if redis.call('HGET', KEYS[2], VISIBLE) ~= tostring(redis.call('ZCARD', KEYS[1])) then return nil end
  return tonumber(epoch), state
end

-- Whether what stands was begun by this build: all of it may be lost, and begun again, while somebody goes on with the first.
local function isOfBuild(build)
  return redis.call('HGET', KEYS[2], BUILD) == build
end

-- Whether readers may use the view: whole, and of the epoch that the truth has.
local function isWhole(wanted)
  local epoch, state = standing()
  return state == 'complete' and epoch == tonumber(wanted)
end
