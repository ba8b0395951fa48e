-- What people decide about findings, and what the page of the pipeline is drawn from.

-- A case gathers the findings about one player and metric until somebody decides. Its findings are those of the player and
-- metric from first_finding_id to last_finding_id.
CREATE TABLE cases (
  case_id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  game_id           text COLLATE "C" NOT NULL,
  player_id         text COLLATE "C" NOT NULL,
  metric            text COLLATE "C" NOT NULL,
  state             text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'cheat', 'clean', 'reversed')),
  opened_at         timestamptz NOT NULL DEFAULT now(),
  findings          bigint      NOT NULL,
  first_finding_id  bigint      NOT NULL,
  last_finding_id   bigint      NOT NULL,
  latest_finding_at timestamptz NOT NULL,
  max_abs_z         double precision NOT NULL,
  assignee          text COLLATE "C" REFERENCES admin_users,
  decided_at        timestamptz,
  decided_by        text,
  decision_reason   text,
  hid               boolean     NOT NULL DEFAULT false,  -- its verdict asks that the player be hidden
  hiding_revision   bigint                               -- of player_state, where this verdict was what hid the player
);
CREATE UNIQUE INDEX cases_one_open ON cases (game_id, player_id, metric) WHERE state = 'open';
CREATE INDEX cases_by_player ON cases (game_id, player_id, metric, first_finding_id);
CREATE INDEX cases_latest ON cases (game_id, latest_finding_at DESC, case_id DESC);
CREATE INDEX cases_latest_by_state ON cases (game_id, state, latest_finding_at DESC, case_id DESC);

CREATE TABLE case_events (                              -- INSERT only
  game_id  text COLLATE "C" NOT NULL,
  case_id  bigint      NOT NULL REFERENCES cases,
  event_no int         NOT NULL,                        -- 2, 3, 4 ... in each case: the first is its opening
  at       timestamptz NOT NULL DEFAULT now(),
  by_name  text        NOT NULL,
  kind     text        NOT NULL CHECK (kind IN ('assigned', 'noted', 'cheat', 'clean', 'reversed')),
  note     text,                                        -- what was said, or the reason
  assignee text,                                        -- the user name then
  hid      boolean     NOT NULL DEFAULT false,
  PRIMARY KEY (case_id, event_no)
);

-- In the transaction of the findings: no finding is ever without its case.
CREATE FUNCTION open_cases() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO cases AS c (game_id, player_id, metric, findings, first_finding_id, last_finding_id, latest_finding_at, max_abs_z)
  SELECT f.game_id, f.player_id, f.metric, count(*), min(f.finding_id), max(f.finding_id), max(f.found_at), max(abs(f.z))
    FROM found f GROUP BY f.game_id, f.player_id, f.metric ORDER BY f.game_id, f.player_id, f.metric
  ON CONFLICT (game_id, player_id, metric) WHERE state = 'open' DO UPDATE SET
    findings = c.findings + excluded.findings,
    first_finding_id = least(c.first_finding_id, excluded.first_finding_id),
    last_finding_id = greatest(c.last_finding_id, excluded.last_finding_id),
    latest_finding_at = greatest(c.latest_finding_at, excluded.latest_finding_at),
    max_abs_z = greatest(c.max_abs_z, excluded.max_abs_z);
  RETURN NULL;
END $$;
CREATE TRIGGER findings_open_cases AFTER INSERT ON suspicious_events
  REFERENCING NEW TABLE AS found FOR EACH STATEMENT EXECUTE FUNCTION open_cases();

INSERT INTO cases (game_id, player_id, metric, findings, first_finding_id, last_finding_id, latest_finding_at, max_abs_z)
SELECT game_id, player_id, metric, count(*), min(finding_id), max(finding_id), max(found_at), max(abs(z))
  FROM suspicious_events GROUP BY game_id, player_id, metric ORDER BY game_id, player_id, metric;

CREATE INDEX cases_of_assignee ON cases (game_id, assignee, latest_finding_at DESC, case_id DESC) WHERE assignee IS NOT NULL;

CREATE INDEX suspicious_events_by_metric ON suspicious_events (game_id, metric, found_at DESC, finding_id DESC);
CREATE INDEX suspicious_events_by_player ON suspicious_events (game_id, player_id, metric, found_at DESC, finding_id DESC);

-- How many events of a game the archive took in each minute, so that a day is 1,440 rows whatever the load.
CREATE TABLE pipeline_minutes (
  game_id      text COLLATE "C" NOT NULL,
  minute       timestamptz NOT NULL,
  accepted     bigint      NOT NULL,
  max_delay_ms bigint      NOT NULL,                    -- from the door to the archive
  PRIMARY KEY (game_id, minute)
);
CREATE TABLE pipeline_rolled_up (                       -- one row: how far pipeline_minutes is filled
  only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
  through  timestamptz NOT NULL
);
-- When a key was last used for an event, as those minutes tell.
CREATE TABLE key_uses (
  game_id      text COLLATE "C" NOT NULL,
  key_id       text COLLATE "C" NOT NULL,
  last_used_ms bigint NOT NULL,
  PRIMARY KEY (game_id, key_id)
);

-- Lists of one game among many.
CREATE INDEX dead_letters_by_game ON dead_letters (game_id, id);
CREATE INDEX dead_letters_by_first_death ON dead_letters (game_id, first_seen_at);
CREATE INDEX dead_letters_open_of_game ON dead_letters (game_id, state) WHERE state IN ('open', 'redriven');
CREATE INDEX board_cycles_of_partition ON board_cycles (game_id, board, partition, cycle);
CREATE INDEX board_cycles_open_of_game ON board_cycles (game_id) WHERE final_at IS NULL;

GRANT SELECT ON cases, case_events, pipeline_minutes, pipeline_rolled_up, key_uses TO fairtally_api;
GRANT UPDATE (state, assignee, decided_at, decided_by, decision_reason, hid, hiding_revision) ON cases TO fairtally_api;
GRANT INSERT ON case_events TO fairtally_api;
GRANT SELECT (letter_id, event_id) ON corrections TO fairtally_api;
-- Dropping a letter bars its identity: the API may bar and take a bar back, and touch no event that took effect.
GRANT INSERT, DELETE ON inbox TO fairtally_api;
GRANT EXECUTE ON FUNCTION ensure_month(date) TO fairtally_api;
-- Policies are permissive, none is restrictive: a user who is a member of both roles (the embedded one) must not be bound by
-- what binds the API.
DROP POLICY one_game ON inbox;
CREATE POLICY one_game ON inbox FOR SELECT TO fairtally_api USING (game_id = nullif(current_setting('app.game', true), ''));
CREATE POLICY bars_come ON inbox FOR INSERT TO fairtally_api
  WITH CHECK (game_id = nullif(current_setting('app.game', true), '') AND definition_version = 0);
CREATE POLICY bars_go ON inbox FOR DELETE TO fairtally_api
  USING (game_id = nullif(current_setting('app.game', true), '') AND definition_version = 0);
