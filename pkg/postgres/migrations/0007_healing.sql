-- Up to when a role's effects were held against the archive, by settled_at: what was settled since is all that has to be looked
-- at again, and what the archive lacked of the rest stands in `unarchived`. So the cost is that of new rows, whatever the age of
-- the inbox.
CREATE TABLE archive_followed (
  role    text COLLATE "C" PRIMARY KEY,
  through timestamptz NOT NULL
);

-- Effects of a role that the archive did not have when it was followed. Gone when the archive has them.
CREATE TABLE unarchived (
  role         text COLLATE "C" NOT NULL,
  dedupe_day   date     NOT NULL,
  identity     uuid     NOT NULL,
  game_id      text COLLATE "C" NOT NULL,
  lane         smallint NOT NULL,
  content_hash bytea    NOT NULL,
  PRIMARY KEY (role, dedupe_day, identity)
);

-- An event that is set aside may be on its way to its role already, by somebody's decision: then that row carries it, and says
-- so (docs/adr/0010).
ALTER TABLE resubmissions ADD COLUMN is_aside boolean NOT NULL DEFAULT false;
UPDATE resubmissions r SET is_aside = true
  FROM operator_actions a WHERE a.id = r.action_id AND a.action = 'set_aside' AND r.state = 'pending';

-- What was settled before this is seen by every later statement, or was rolled back. settled_at is when its transaction began, so
-- what is not seen yet began no earlier than the oldest transaction that runs. A role's is a few statements of 30 s each: the
-- server has long ended it when it is ten minutes old, so that a backup, which runs for hours, holds nothing back; so old may be
-- what a session has whose times are not shown. Half a minute is for a session that tells of its transaction late, and for a
-- clock that is set back. Runs as whoever migrates: a user sees the times of his own sessions, and not of a role he acts as.
CREATE FUNCTION settled_horizon() RETURNS timestamptz LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT greatest(now() - interval '10 minutes',
                  CASE WHEN bool_or(query = '<insufficient privilege>') THEN '-infinity'
                       ELSE least(min(xact_start), now()) END) - interval '30 seconds'
    FROM pg_stat_activity
   WHERE datname = current_database() AND pg_has_role(usesysid, 'fairtally_worker', 'MEMBER')
$$;
REVOKE ALL ON FUNCTION settled_horizon() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settled_horizon() TO fairtally_worker;
