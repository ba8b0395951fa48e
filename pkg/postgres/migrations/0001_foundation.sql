-- The keys that cannot be changed later. Every table that belongs to a game carries game_id; text that is compared or
-- ordered is COLLATE "C" (by bytes). Times made by clients are whole milliseconds (bigint); times of ours are timestamptz.
-- identity: the first 16 bytes of SHA-256 over (game, player, dedupe day, id), kept as uuid because that is 16 bytes fixed.

CREATE TABLE games (
  game_id              text COLLATE "C" PRIMARY KEY,
  dedupe_floor         date        NOT NULL,            -- below it an event is refused for good (event_too_old)
  acceptance_past_days int         NOT NULL DEFAULT 30, -- for keys without scope replay
  acceptance_ahead_ms  int         NOT NULL DEFAULT 300000,
  session_master_id    text COLLATE "C" NOT NULL,       -- the <masterId> of session key ids
  session_master       text        NOT NULL,            -- sealed, see pkg/secrets
  created_at           timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE game_definitions (
  game_id        text COLLATE "C" NOT NULL REFERENCES games,
  version        int         NOT NULL,
  effective_from timestamptz NOT NULL,
  source         text        NOT NULL,                  -- the YAML as applied
  source_sha256  bytea       NOT NULL,
  applied_by     text        NOT NULL,
  applied_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (game_id, version)
);

CREATE TABLE signing_keys (
  key_id     text COLLATE "C" PRIMARY KEY,              -- unique over all games
  game_id    text COLLATE "C" NOT NULL REFERENCES games,
  secret     text        NOT NULL,                      -- sealed
  scopes     text[]      NOT NULL,                      -- ingest, read, replay, sessions
  schemes    text[]      NOT NULL DEFAULT '{v1}',       -- v1, plain-timestamp, plain-body
  trust      text        NOT NULL DEFAULT 'server',     -- server | client: what `from: server` in a definition asks
  debug      boolean     NOT NULL DEFAULT false,
  not_before timestamptz NOT NULL DEFAULT now(),
  not_after  timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX signing_keys_by_game ON signing_keys (game_id);

CREATE TABLE receipt_keys (
  game_id    text COLLATE "C" NOT NULL REFERENCES games,
  kid        text COLLATE "C" NOT NULL,                 -- RFC 7638 thumbprint
  public_jwk jsonb       NOT NULL,
  secret     text        NOT NULL,                      -- sealed private key (PKCS#8, base64)
  retired_at timestamptz,                               -- its public half stays in the JWKS
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (game_id, kid)
);

CREATE TABLE session_revocations (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  game_id       text COLLATE "C" NOT NULL REFERENCES games,
  sid           text COLLATE "C",                       -- one session, or
  player_id     text COLLATE "C",                       -- every session of a player, or
  key_id        text COLLATE "C",                       -- every session a signing key minted,
  issued_before timestamptz NOT NULL,                   -- that was issued before this instant
  created_at    timestamptz NOT NULL DEFAULT now(),
  expires_at    timestamptz NOT NULL                    -- no session outlives 24 h, so neither does this row
);
CREATE INDEX session_revocations_sid ON session_revocations (game_id, sid);
CREATE INDEX session_revocations_expiry ON session_revocations (expires_at);

-- One row per role and event, with work for it or not (docs/adr/0008). Partitioned by month of dedupe_day, made on demand above the floor.
CREATE TABLE inbox (
  role               text COLLATE "C" NOT NULL,
  dedupe_day         date     NOT NULL,
  identity           uuid     NOT NULL,
  game_id            text COLLATE "C" NOT NULL,
  lane               smallint NOT NULL,
  content_hash       bytea    NOT NULL,
  definition_version int      NOT NULL,                 -- 0: barred by an operator's decision, without effect (docs/adr/0009)
  settled_at         timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (role, dedupe_day, identity)
) PARTITION BY RANGE (dedupe_day);

-- The archive. Its row in `inbox` (role archive) is its uniqueness, so it has no unique index of its own.
CREATE TABLE events (
  dedupe_day         date    NOT NULL,
  identity           uuid    NOT NULL,
  game_id            text COLLATE "C" NOT NULL,
  player_id          text COLLATE "C" NOT NULL,
  event_id           text COLLATE "C" NOT NULL,
  type               text COLLATE "C" NOT NULL,
  ts_ms              bigint  NOT NULL,
  received_at_ms     bigint  NOT NULL,
  src                text    NOT NULL,                  -- server | client
  key_id             text    NOT NULL,
  definition_version int     NOT NULL,
  schema_version     int,
  content_hash       bytea   NOT NULL,
  payload            jsonb   NOT NULL,
  context            jsonb,                             -- build, platform, sessionId, mapped, traceparent, late, future, corrects
  archived_at        timestamptz NOT NULL DEFAULT now() -- beginning of the transaction that archived it
) PARTITION BY RANGE (dedupe_day);
CREATE INDEX events_by_player ON events (game_id, player_id, ts_ms);
-- Rows come in the order of this time, more or less: a few bytes per megabyte find those of an hour.
CREATE INDEX events_by_archival ON events USING brin (archived_at) WITH (pages_per_range = 32, autosummarize = on);

CREATE TABLE player_profiles (
  game_id          text COLLATE "C" NOT NULL,
  player_id        text COLLATE "C" NOT NULL,
  first_seen_ms    bigint NOT NULL,                     -- smallest and greatest event time in the archive
  last_seen_ms     bigint NOT NULL,
  events           bigint NOT NULL,
  PRIMARY KEY (game_id, player_id)
);

CREATE TABLE player_state (
  game_id    text COLLATE "C" NOT NULL,
  player_id  text COLLATE "C" NOT NULL,
  hidden     boolean     NOT NULL,
  revision   bigint      NOT NULL,                      -- grows with each change; part of the view's revision
  changed_at timestamptz NOT NULL DEFAULT now(),
  changed_by text        NOT NULL,
  reason     text,
  PRIMARY KEY (game_id, player_id)
);

CREATE TABLE player_progress (
  game_id            text COLLATE "C" NOT NULL,
  player_id          text COLLATE "C" NOT NULL,
  total_xp           bigint NOT NULL,
  level              int    NOT NULL,
  definition_version int    NOT NULL,                   -- the greatest version among the events counted
  revision           bigint NOT NULL,
  updated_at_ms      bigint NOT NULL,                   -- greatest ts counted
  PRIMARY KEY (game_id, player_id)
);

CREATE TABLE progress_events (                          -- the XP ledger: what each event added
  game_id            text COLLATE "C" NOT NULL,
  player_id          text COLLATE "C" NOT NULL,
  ts_ms              bigint NOT NULL,
  dedupe_day         date   NOT NULL,
  identity           uuid   NOT NULL,
  delta_xp           bigint NOT NULL,
  definition_version int    NOT NULL
);
CREATE INDEX progress_events_by_player ON progress_events (game_id, player_id, ts_ms);

CREATE TABLE receipts (
  game_id            text COLLATE "C" NOT NULL,
  player_id          text COLLATE "C" NOT NULL,
  grant_key          text COLLATE "C" NOT NULL,         -- level:5:coins | boss:hydra:trophy | drop:d-1: the cause, unique for good
  receipt_id         text COLLATE "C" NOT NULL,         -- the jti
  reward             text   NOT NULL,
  amount             bigint NOT NULL,
  cause              text   NOT NULL,
  ts_ms              bigint NOT NULL,                   -- the cause's ts
  event_id           text   NOT NULL,                   -- recorded, never part of the key
  src                text   NOT NULL,
  kid                text   NOT NULL,
  jws                text   NOT NULL,                   -- returned byte for byte
  definition_version int    NOT NULL,
  revoked_at         timestamptz,
  revoked_by         text,
  revoked_reason     text,
  PRIMARY KEY (game_id, player_id, grant_key)
);
CREATE UNIQUE INDEX receipts_by_id ON receipts (game_id, receipt_id);
CREATE INDEX receipts_by_player ON receipts (game_id, player_id, ts_ms, grant_key);
CREATE INDEX receipts_revoked ON receipts (game_id, revoked_at) WHERE revoked_at IS NOT NULL;

-- cycle is `<window>:<name>`: daily:2026-11-20, weekly:2026-W47, seasonal:2026-Q4, all-time:all. partition is '' where a
-- board has none. subject is a player id, or the payload field a board ranks. No index holds a score: a new score is then a
-- heap-only tuple in the room that the fillfactor leaves, and a row costs the same whatever the length of the board. What
-- an index in order could save is the sorting of a page; its rank and the total read the cycle anyway.
CREATE TABLE board_scores (
  game_id            text COLLATE "C" NOT NULL,
  board              text COLLATE "C" NOT NULL,
  cycle              text COLLATE "C" NOT NULL,
  partition          text COLLATE "C" NOT NULL,
  subject            text COLLATE "C" NOT NULL,
  score              bigint NOT NULL,
  reached_at         bigint NOT NULL,                   -- event time in ms, never apply time
  reached_id         text COLLATE "C" NOT NULL,         -- event id that breaks ties of aggregate `last`
  definition_version int    NOT NULL,
  revision           bigint NOT NULL,
  PRIMARY KEY (game_id, board, cycle, partition, subject)
) WITH (fillfactor = 70);
-- For all boards of a subject, and used only by who asks with `subject <> ''`, which holds for every row: without statistics
-- the planner would also take it to find the subjects of one board, among their rows of all boards.
CREATE INDEX board_scores_by_subject ON board_scores (game_id, subject) WHERE subject <> '';

CREATE TABLE board_cycles (
  game_id    text COLLATE "C" NOT NULL,
  board      text COLLATE "C" NOT NULL,
  cycle      text COLLATE "C" NOT NULL,
  partition  text COLLATE "C" NOT NULL,
  epoch      bigint NOT NULL DEFAULT 1,                 -- raised to declare the Redis view of this cycle void
  closes_at  timestamptz,                               -- null: all-time
  final_at   timestamptz,                               -- when its snapshot was written; never changes
  revised    boolean NOT NULL DEFAULT false,            -- an event counted after final_at
  updated_at timestamptz NOT NULL DEFAULT now(),
  definition_version int NOT NULL,
  PRIMARY KEY (game_id, board, cycle, partition)
);
CREATE INDEX board_cycles_open ON board_cycles (closes_at) WHERE final_at IS NULL AND closes_at IS NOT NULL;

CREATE TABLE leaderboard_snapshots (                    -- INSERT only; hidden players are filtered when it is read
  game_id    text COLLATE "C" NOT NULL,
  board      text COLLATE "C" NOT NULL,
  cycle      text COLLATE "C" NOT NULL,
  partition  text COLLATE "C" NOT NULL,
  subject    text COLLATE "C" NOT NULL,
  score      bigint NOT NULL,
  reached_at bigint NOT NULL,
  PRIMARY KEY (game_id, board, cycle, partition, subject)
);

CREATE TABLE fairness_baselines (
  game_id   text COLLATE "C" NOT NULL,
  player_id text COLLATE "C" NOT NULL,
  metric    text COLLATE "C" NOT NULL,
  partition text COLLATE "C" NOT NULL,                  -- '' or the payload field a metric is kept apart by
  samples   bigint NOT NULL,
  mean      double precision NOT NULL,
  m2        double precision NOT NULL,                  -- Welford's sum of squared differences
  last_ts_ms bigint,                                    -- for metrics of the time between events
  PRIMARY KEY (game_id, player_id, metric, partition)
);

CREATE TABLE fairness_samples (                         -- the order fairness saw, so that it can be run again exactly
  game_id            text COLLATE "C" NOT NULL,
  player_id          text COLLATE "C" NOT NULL,
  metric             text COLLATE "C" NOT NULL,
  partition          text COLLATE "C" NOT NULL,
  sample_no          bigint NOT NULL,                   -- 1, 2, 3 ... per (player, metric, partition)
  dedupe_day         date   NOT NULL,
  identity           uuid   NOT NULL,
  value              double precision NOT NULL,         -- after the metric's transform
  definition_version int    NOT NULL,
  PRIMARY KEY (game_id, player_id, metric, partition, sample_no)
);

CREATE TABLE suspicious_events (
  finding_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  game_id            text COLLATE "C" NOT NULL,
  player_id          text COLLATE "C" NOT NULL,
  metric             text COLLATE "C" NOT NULL,
  partition          text COLLATE "C" NOT NULL,
  dedupe_day         date   NOT NULL,
  identity           uuid   NOT NULL,
  event_id           text   NOT NULL,
  ts_ms              bigint NOT NULL,
  value              double precision NOT NULL,         -- as sent
  judged             double precision NOT NULL,         -- after the transform: what mean, deviation and z speak of
  mean               double precision NOT NULL,
  deviation          double precision NOT NULL,
  z                  double precision NOT NULL,
  sample_no          bigint NOT NULL,                   -- how many samples stood before it, plus one
  definition_version int    NOT NULL,
  found_at           timestamptz NOT NULL DEFAULT now(),
  UNIQUE (game_id, player_id, metric, identity)
);
CREATE INDEX suspicious_events_latest ON suspicious_events (game_id, found_at DESC);

-- Who decided what by hand, and why. INSERT only.
CREATE TABLE operator_actions (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action  text        NOT NULL,                         -- redrive | drop | correct | reconcile
  actor   text        NOT NULL,
  why     text        NOT NULL,
  scope   jsonb       NOT NULL,                         -- the ids or filters it was asked for
  made_at timestamptz NOT NULL DEFAULT now()
);

-- A letter is unique per role and event content: a conflict (same identity, other content) is a letter beside the
-- event that took effect. What could not be read has no identity and is known by its place in the transport.
CREATE TABLE dead_letters (
  id                 bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role               text COLLATE "C" NOT NULL,
  game_id            text COLLATE "C",
  player_id          text COLLATE "C",
  event_id           text COLLATE "C",                  -- null where the message could not be read
  event_type         text COLLATE "C",
  dedupe_day         date,
  identity           uuid,
  content_hash       bytea,
  transport_position text COLLATE "C" NOT NULL,
  reason             text        NOT NULL,              -- stable code: event_id_conflict, event_too_old, unreadable, handler_error, crash_loop ...
  detail             text        NOT NULL,
  attempts           int         NOT NULL,
  body               text        NOT NULL,              -- the message as it came
  headers            jsonb       NOT NULL,
  code_version       text        NOT NULL,
  state              text        NOT NULL DEFAULT 'open', -- open | redriven (on its way again) | applied | corrected | dropped
  action_id          bigint      REFERENCES operator_actions, -- the last decision about it
  first_seen_at      timestamptz NOT NULL DEFAULT now(),
  last_seen_at       timestamptz NOT NULL DEFAULT now(),
  closed_at          timestamptz,
  closed_by          text,
  closed_why         text
);
CREATE UNIQUE INDEX dead_letters_by_identity ON dead_letters (role, dedupe_day, identity, content_hash) WHERE identity IS NOT NULL;
CREATE UNIQUE INDEX dead_letters_by_position ON dead_letters (role, transport_position) WHERE identity IS NULL;
-- What an effect may still close.
CREATE INDEX dead_letters_open ON dead_letters (role, last_seen_at) WHERE state IN ('open', 'redriven');

-- The event that took the place of a dead one in one role (docs/adr/0009). No other role takes it.
CREATE TABLE corrections (
  letter_id  bigint PRIMARY KEY,
  role       text COLLATE "C" NOT NULL,
  dedupe_day date   NOT NULL,
  identity   uuid   NOT NULL,                           -- of the event that took its place
  event_id   text COLLATE "C" NOT NULL,
  action_id  bigint NOT NULL REFERENCES operator_actions,
  UNIQUE (dedupe_day, identity)
);

-- Events on their way to one role again, beside the bus: redriven letters, corrections, what the reconciler found missing.
CREATE TABLE resubmissions (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  role         text COLLATE "C" NOT NULL,
  game_id      text COLLATE "C" NOT NULL,
  player_id    text COLLATE "C" NOT NULL,
  dedupe_day   date,                                    -- null where the message could not be read
  identity     uuid,
  content_hash bytea,
  position     text        NOT NULL,                    -- of the letter, so that a message that still cannot be read finds it
  body         text        NOT NULL,
  headers      jsonb       NOT NULL,
  letter_id    bigint,
  action_id    bigint      NOT NULL REFERENCES operator_actions,
  state        text        NOT NULL DEFAULT 'pending',  -- pending | done | skipped (took effect before) | failed (a letter again)
  made_at      timestamptz NOT NULL DEFAULT now(),
  closed_at    timestamptz
);
CREATE INDEX resubmissions_pending ON resubmissions (role, id) WHERE state = 'pending';
CREATE UNIQUE INDEX resubmissions_once ON resubmissions (role, dedupe_day, identity, content_hash)
  WHERE state = 'pending' AND identity IS NOT NULL;
CREATE UNIQUE INDEX resubmissions_letter_once ON resubmissions (letter_id) WHERE state = 'pending' AND letter_id IS NOT NULL;
CREATE INDEX resubmissions_by_action ON resubmissions (action_id, state);
CREATE INDEX resubmissions_closed ON resubmissions (closed_at) WHERE state <> 'pending';

-- How far the reconciler has compared a role with the archive, by archived_at.
CREATE TABLE reconciled (
  role    text COLLATE "C" PRIMARY KEY,
  through timestamptz NOT NULL
);

-- The conservation law, live: delivered = applied + duplicate + conflict + dead, per role and lane.
CREATE TABLE role_counters (
  role      text COLLATE "C" NOT NULL,
  lane      smallint NOT NULL,
  delivered bigint NOT NULL DEFAULT 0,
  applied   bigint NOT NULL DEFAULT 0,
  duplicate bigint NOT NULL DEFAULT 0,
  conflict  bigint NOT NULL DEFAULT 0,
  dead      bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (role, lane)
);

-- The postgres bus: one log of 32 lanes, a cursor per role and lane. Positions of a lane start at 1 and are taken under
-- the lane row's lock inside the inserting transaction, so position order is commit order and a cursor cannot skip.
CREATE TABLE bus_lanes (
  lane          smallint PRIMARY KEY,
  next_position bigint NOT NULL
);
INSERT INTO bus_lanes SELECT lane, 1 FROM generate_series(0, 31) AS lane;

CREATE TABLE bus_events (
  lane         smallint NOT NULL,
  position     bigint   NOT NULL,
  published_at timestamptz NOT NULL DEFAULT now(),
  game_id      text COLLATE "C" NOT NULL,
  player_id    text COLLATE "C" NOT NULL,
  message_id   text     NOT NULL,
  headers      jsonb,
  body         text     NOT NULL,
  PRIMARY KEY (lane, position)
);

CREATE TABLE bus_cursors (
  role     text COLLATE "C" NOT NULL,
  lane     smallint NOT NULL,
  position bigint   NOT NULL,                           -- the last position settled
  PRIMARY KEY (role, lane)
);

-- Which buses this installation publishes to: events that wait on one must be read before another is used instead.
CREATE TABLE bus_uses (
  driver     text COLLATE "C" NOT NULL,
  name       text COLLATE "C" NOT NULL,                 -- topic, or prefix of queues; '' for the postgres bus
  state      text        NOT NULL,                      -- in_use | drained
  changed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (driver, name)
);

-- Partitions of inbox and events are months, made when the first event of a month arrives.
CREATE FUNCTION ensure_month(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  first_day date := date_trunc('month', day)::date;
  next_first date := (date_trunc('month', day) + interval '1 month')::date;
  suffix text := to_char(first_day, 'YYYYMM');
BEGIN
  IF to_regclass('inbox_' || suffix) IS NOT NULL AND to_regclass('events_' || suffix) IS NOT NULL THEN
    RETURN;
  END IF;
  PERFORM pg_advisory_xact_lock(hashtext('fairtally.ensure_month'));
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF inbox FOR VALUES FROM (%L) TO (%L)', 'inbox_' || suffix, first_day, next_first);
  EXECUTE format('CREATE TABLE IF NOT EXISTS %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)', 'events_' || suffix, first_day, next_first);
END $$;

-- Worker processes, each while it lives: it holds the advisory lock of its incarnation, a random number. A row whose lock
-- can be had is of a process that died (pkg/worker/crash-guard).
CREATE TABLE worker_lives (
  incarnation bigint PRIMARY KEY,
  began_at    timestamptz NOT NULL DEFAULT now()
);

-- What a worker process has in hand, written before each batch, so that a process which dies names what it died of.
CREATE TABLE batches_in_hand (
  role        text COLLATE "C" NOT NULL,
  incarnation bigint      NOT NULL,
  slot        int         NOT NULL,                     -- which of the batches it has in hand at once
  keys        bytea       NOT NULL,                     -- eight bytes of each message's id, one after the other; see crashKey
  is_alone    boolean     NOT NULL,                     -- the process ran this one event and nothing else
  taken_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (role, incarnation, slot)
);
-- Two rows of a full batch share a page, so that each is a heap-only tuple in the room of the one before the last.
ALTER TABLE batches_in_hand ALTER COLUMN keys SET STORAGE MAIN;

-- What dead processes had in hand. What two of them had runs alone until it comes to an end.
CREATE TABLE crash_suspects (
  role    text COLLATE "C" NOT NULL,
  key     text COLLATE "C" NOT NULL,                    -- sixteen hex digits
  deaths  int         NOT NULL,                         -- how many died that had it in hand, alone or with others
  crashes bigint[]    NOT NULL,                         -- the incarnations that died while this event ran alone
  since   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (role, key)
);
