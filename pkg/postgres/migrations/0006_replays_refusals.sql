-- Recordings that people feed through the front door, and what the front door refused.

-- Kept for 24 h. While it runs, the process that holds the lease sends it; after a kill the next one goes on at `line`.
CREATE TABLE replay_jobs (
  job_id          text COLLATE "C" PRIMARY KEY,         -- 16 random bytes, base64url
  game_id         text COLLATE "C" NOT NULL REFERENCES games,
  name            text        NOT NULL,
  state           text        NOT NULL DEFAULT 'uploaded'
                  CHECK (state IN ('uploaded', 'running', 'done', 'cancelled', 'failed')),
  uploaded_at     timestamptz NOT NULL DEFAULT now(),
  uploaded_by     text        NOT NULL,
  expires_at      timestamptz NOT NULL DEFAULT now() + interval '24 hours',
  lines           int         NOT NULL,
  ids_without_day int         NOT NULL,                 -- events that would be others when moved in time
  started_at      timestamptz,
  started_by      text,
  ended_at        timestamptz,
  failure         text,
  rebase_days     int         NOT NULL DEFAULT 0,       -- the same as long as a line was sent
  rate            int         NOT NULL DEFAULT 500,     -- events per second at most
  key_id          text COLLATE "C",                     -- signs this run and no other
  line            int         NOT NULL DEFAULT 0,       -- every line up to it is answered for good
  tally           jsonb       NOT NULL DEFAULT '{"accepted": 0, "duplicates": 0, "rejected": {}}',
  runner          text,                                 -- who sends it; '' and null: nobody
  lease_until     timestamptz
);
CREATE INDEX replay_jobs_latest ON replay_jobs (game_id, uploaded_at DESC, job_id);
CREATE UNIQUE INDEX replay_jobs_one_running ON replay_jobs (game_id) WHERE state = 'running';
CREATE INDEX replay_jobs_expiry ON replay_jobs (expires_at);

CREATE TABLE replay_chunks (
  game_id  text COLLATE "C" NOT NULL,
  job_id   text COLLATE "C" NOT NULL REFERENCES replay_jobs ON DELETE CASCADE,
  chunk_no int         NOT NULL,                        -- 0, 1, 2 ... the bytes as they were uploaded
  bytes    bytea       NOT NULL,
  PRIMARY KEY (job_id, chunk_no)
);

-- What a game's clients sent and the gateways refused: told best effort, kept for 14 days and up to a number per game. What
-- bears no right signature has a share of its own, so that a stranger pushes nothing out.
CREATE TABLE refusals (
  refusal_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  game_id     text COLLATE "C" NOT NULL,
  refused_at  timestamptz NOT NULL,
  is_verified boolean     NOT NULL,                     -- its signature was right
  key_id      text COLLATE "C" NOT NULL,
  player_id   text COLLATE "C",
  event_id    text COLLATE "C",
  type        text COLLATE "C",
  ts_ms       bigint,
  src         text,                                     -- server | client
  build       text,
  platform    text,
  code        text        NOT NULL,
  pointer     text,
  detail      text,
  snippet     text                                      -- the beginning of the event, without what looks like a secret
);
CREATE INDEX refusals_by_player ON refusals (game_id, player_id, refusal_id DESC) WHERE player_id IS NOT NULL;
CREATE INDEX refusals_by_key ON refusals (game_id, key_id, refusal_id DESC);
CREATE INDEX refusals_of_game ON refusals (game_id, is_verified, refusal_id DESC);
CREATE INDEX refusals_age ON refusals (refused_at);

-- How many there were, those that are not kept one by one included.
CREATE TABLE refusal_minutes (
  game_id text COLLATE "C" NOT NULL,
  minute  timestamptz NOT NULL,
  code    text COLLATE "C" NOT NULL,
  build   text COLLATE "C" NOT NULL,                    -- '' for none, `other` beyond the builds that are told apart
  events  bigint      NOT NULL,                         -- a request that was refused as a whole is one
  PRIMARY KEY (game_id, minute, code, build)
);
CREATE INDEX refusal_minutes_age ON refusal_minutes (minute);

GRANT SELECT, INSERT ON replay_jobs, replay_chunks TO fairtally_api;
GRANT UPDATE (state, started_at, started_by, ended_at, failure, rebase_days, rate, key_id, runner, lease_until) ON replay_jobs TO fairtally_api;
GRANT SELECT ON refusals, refusal_minutes TO fairtally_api;
