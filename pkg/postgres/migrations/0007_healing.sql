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
