-- People: who they are, what they may do in which game, their sessions, and what they did. And the wall between games:
-- row-level security, so that a statement which forgets its game finds nothing instead of everything.
--
-- Three roles, which `fairtally migrate` makes (pkg/postgres/database-roles.ts):
--   fairtally_owner   owns every table and function; nothing but migrations acts as it
--   fairtally_worker  what gateway and workers need: all games
--   fairtally_api     what the admin API acts as: the one game that `app.game` names inside the transaction

CREATE TABLE admin_users (
  user_id             text COLLATE "C" PRIMARY KEY,
  username            text COLLATE "C" NOT NULL UNIQUE,   -- lower case
  password_hash       text,                               -- argon2id; null: signs in at the issuer
  oidc_issuer         text COLLATE "C",
  oidc_subject        text COLLATE "C",
  all_games           boolean     NOT NULL DEFAULT false, -- admin of every game, of users and of the installation
  must_change         boolean     NOT NULL DEFAULT false, -- the password was given by somebody else
  disabled_at         timestamptz,
  created_at          timestamptz NOT NULL DEFAULT now(),
  last_sign_in_at     timestamptz,
  UNIQUE (oidc_issuer, oidc_subject),
  CHECK ((oidc_issuer IS NULL) = (oidc_subject IS NULL))
);

CREATE TABLE admin_memberships (
  game_id    text COLLATE "C" NOT NULL REFERENCES games,
  user_id    text COLLATE "C"        NOT NULL REFERENCES admin_users,
  role       text        NOT NULL CHECK (role IN ('viewer', 'analyst', 'operator', 'admin')),
  granted_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (game_id, user_id)
);
CREATE INDEX admin_memberships_by_user ON admin_memberships (user_id);

CREATE TABLE admin_sessions (
  session_id   text COLLATE "C" PRIMARY KEY,              -- 16 random bytes, base64url; the `sid` of access tokens
  user_id      text COLLATE "C"        NOT NULL REFERENCES admin_users,
  created_at   timestamptz NOT NULL,
  last_used_at timestamptz NOT NULL,
  expires_at   timestamptz NOT NULL,
  ended_at     timestamptz,
  ended_why    text,                                      -- signed_out | revoked | refresh_reused | password_changed | user_disabled
  address      text        NOT NULL,
  user_agent   text        NOT NULL
);
CREATE INDEX admin_sessions_by_user ON admin_sessions (user_id, created_at);
CREATE INDEX admin_sessions_expiry ON admin_sessions (expires_at);

-- A refresh token follows from the one before it, so that a client whose answer was lost gets the same one again.
CREATE TABLE admin_refresh_tokens (
  token_hash  bytea PRIMARY KEY,                          -- SHA-256
  session_id  text COLLATE "C" NOT NULL REFERENCES admin_sessions ON DELETE CASCADE,
  made_at     timestamptz NOT NULL,
  replaced_at timestamptz                                 -- when it was used
);
CREATE INDEX admin_refresh_tokens_by_session ON admin_refresh_tokens (session_id);

-- What signs access tokens; shared by all processes of the admin service.
CREATE TABLE admin_token_keys (
  kid        text COLLATE "C" PRIMARY KEY,
  secret     text        NOT NULL,                        -- sealed, see pkg/secrets
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A ticket opens one stream, once: a browser's EventSource can send no header.
CREATE TABLE admin_stream_tickets (
  ticket_hash bytea PRIMARY KEY,                          -- SHA-256
  game_id     text COLLATE "C" NOT NULL REFERENCES games,
  session_id  text COLLATE "C" NOT NULL REFERENCES admin_sessions ON DELETE CASCADE,
  topics      jsonb       NOT NULL,
  expires_at  timestamptz NOT NULL
);
CREATE INDEX admin_stream_tickets_expiry ON admin_stream_tickets (expires_at);

-- What was done by whom. A chain per game: each hash covers its entry and the hash before. `*` is the installation itself:
-- sign-ins, users. INSERT and SELECT are all that the API is granted.
CREATE TABLE admin_audit (
  game_id       text COLLATE "C" NOT NULL,
  seq           bigint      NOT NULL,                     -- 1, 2, 3 ... per game
  at_ms         bigint      NOT NULL,
  actor_id      text COLLATE "C",                                    -- null: nobody signed in
  actor         text COLLATE "C" NOT NULL,                -- the name they had then
  action        text COLLATE "C" NOT NULL,                -- player.hide
  subject       text COLLATE "C" NOT NULL,                -- player p-42
  reason        text,
  details       jsonb       NOT NULL,                     -- flat; never a secret
  request_id    text        NOT NULL,
  previous_hash bytea       NOT NULL,                     -- 32 zero bytes before the first
  hash          bytea       NOT NULL,                     -- SHA-256, see pkg/admin/audit-chain.ts
  PRIMARY KEY (game_id, seq)
);

-- Decisions of the API belong to its game; those of the command line to none.
ALTER TABLE operator_actions ADD COLUMN game_id text COLLATE "C" DEFAULT nullif(current_setting('app.game', true), '');

-- Whom a session is of and what they may do in a game now. Runs as the worker role, before the API knows which game it is in.
CREATE FUNCTION admin_access(session text, game text)
  RETURNS TABLE (user_id text, username text, is_local boolean, must_change boolean, all_games boolean, role text)
  LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT u.user_id, u.username, u.oidc_subject IS NULL, u.must_change, u.all_games,
         CASE WHEN NOT EXISTS (SELECT FROM games g WHERE g.game_id = game) THEN NULL
              WHEN u.all_games THEN 'admin'
              ELSE (SELECT m.role FROM admin_memberships m WHERE m.game_id = game AND m.user_id = u.user_id)
         END
    FROM admin_sessions s JOIN admin_users u ON u.user_id = s.user_id
   WHERE s.session_id = session AND s.ended_at IS NULL AND s.expires_at > now() AND u.disabled_at IS NULL
$$;

-- The games in which somebody has a role, at most 1000.
CREATE FUNCTION admin_games_of(person text)
  RETURNS TABLE (game_id text, role text, created_at timestamptz) LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT g.game_id, CASE WHEN u.all_games THEN 'admin' ELSE m.role END, g.created_at
    FROM admin_users u
    CROSS JOIN games g
    LEFT JOIN admin_memberships m ON m.game_id = g.game_id AND m.user_id = u.user_id
   WHERE u.user_id = person AND u.disabled_at IS NULL AND (u.all_games OR m.role IS NOT NULL)
   ORDER BY g.game_id LIMIT 1000
$$;

-- The roles that somebody has in all games, for those who administer users.
CREATE FUNCTION admin_memberships_of(person text)
  RETURNS TABLE (game_id text, role text) LANGUAGE sql STABLE SECURITY DEFINER AS $$
  SELECT m.game_id, m.role FROM admin_memberships m WHERE m.user_id = person ORDER BY m.game_id LIMIT 1000
$$;

-- Uses a ticket up, and answers what it was for. Of two that come with one ticket, one finds it.
CREATE FUNCTION admin_redeem_ticket(hash bytea)
  RETURNS TABLE (game_id text, session_id text, topics jsonb) LANGUAGE sql SECURITY DEFINER AS $$
  DELETE FROM admin_stream_tickets t WHERE t.ticket_hash = hash AND t.expires_at > now()
  RETURNING t.game_id, t.session_id, t.topics
$$;

-- Tickets that ran out, of all games.
CREATE FUNCTION admin_drop_tickets() RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
  DELETE FROM admin_stream_tickets t WHERE t.expires_at < now()
$$;

-- Puts every table of this schema behind the wall: run after migrations, so that a table which a later one makes cannot be
-- forgotten. A table with a game_id gets a policy for each of the two roles; what the API may do beyond reading is granted
-- by name, below and in the migration that makes a table.
CREATE FUNCTION secure_tables() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  item record;
BEGIN
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO fairtally_owner, fairtally_worker, fairtally_api', current_schema());
  EXECUTE format('GRANT CREATE ON SCHEMA %I TO fairtally_owner', current_schema());
  FOR item IN
    SELECT c.oid, c.relname AS name, c.relispartition AS is_partition,
           EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'game_id' AND NOT a.attisdropped) AS is_of_games,
           EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policies
      FROM pg_class c
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
     ORDER BY c.relname
  LOOP
    IF pg_get_userbyid((SELECT relowner FROM pg_class WHERE oid = item.oid)) <> 'fairtally_owner' THEN
      EXECUTE format('ALTER TABLE %I OWNER TO fairtally_owner', item.name);
    END IF;
    CONTINUE WHEN item.is_partition;
    IF item.name NOT LIKE 'admin\_%' THEN
      EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO fairtally_worker', item.name);
    END IF;
    IF item.is_of_games AND NOT item.has_policies THEN
      EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', item.name);
      EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', item.name);
      EXECUTE format('CREATE POLICY all_games ON %I TO fairtally_worker USING (true) WITH CHECK (true)', item.name);
      EXECUTE format(
        'CREATE POLICY one_game ON %I TO fairtally_api USING (game_id = nullif(current_setting(''app.game'', true), '''')) '
        'WITH CHECK (game_id = nullif(current_setting(''app.game'', true), ''''))', item.name);
    END IF;
  END LOOP;
  GRANT SELECT ON schema_migrations TO fairtally_api;
END $$;

SELECT secure_tables();

-- What the definer functions read, and no more: no hash of a password.
GRANT SELECT (user_id, username, oidc_subject, must_change, all_games, disabled_at) ON admin_users TO fairtally_worker;
GRANT SELECT ON admin_memberships TO fairtally_worker;
GRANT SELECT, DELETE ON admin_stream_tickets TO fairtally_worker;
GRANT SELECT (session_id, user_id, ended_at, expires_at) ON admin_sessions TO fairtally_worker;

-- What the API may do. Of what events made it reads all and writes nothing.
GRANT SELECT ON game_definitions, session_revocations, inbox, events, player_profiles, player_state, player_progress,
  progress_events, receipts, board_scores, board_cycles, leaderboard_snapshots, fairness_baselines, fairness_samples,
  suspicious_events, operator_actions, dead_letters, resubmissions, reconciled, role_counters, bus_lanes, bus_events,
  bus_cursors, bus_uses TO fairtally_api;
GRANT SELECT (game_id, dedupe_floor, acceptance_past_days, acceptance_ahead_ms, created_at),
  UPDATE (acceptance_past_days, acceptance_ahead_ms) ON games TO fairtally_api;
GRANT SELECT (game_id, kid, public_jwk, retired_at, created_at) ON receipt_keys TO fairtally_api;
GRANT SELECT, INSERT, UPDATE ON signing_keys TO fairtally_api;
GRANT INSERT ON game_definitions, session_revocations, operator_actions, resubmissions TO fairtally_api;
GRANT INSERT, UPDATE ON player_state, board_cycles TO fairtally_api;
GRANT UPDATE ON dead_letters, resubmissions TO fairtally_api;
GRANT UPDATE (revoked_at, revoked_by, revoked_reason) ON receipts TO fairtally_api;

GRANT SELECT, INSERT, UPDATE ON admin_users, admin_sessions TO fairtally_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON admin_memberships, admin_refresh_tokens TO fairtally_api;
GRANT DELETE ON admin_sessions TO fairtally_api;
GRANT SELECT, INSERT ON admin_token_keys, admin_audit TO fairtally_api;
GRANT SELECT, INSERT, DELETE ON admin_stream_tickets TO fairtally_api;

-- Partitions are made by the owner whoever asks, so that nobody else needs to make tables; a definer function looks nowhere
-- but in this schema.
DO $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY ARRAY['ensure_month(date)', 'secure_tables()'] LOOP
    EXECUTE format('ALTER FUNCTION %s OWNER TO fairtally_owner', one);
  END LOOP;
  FOREACH one IN ARRAY ARRAY['admin_access(text, text)', 'admin_games_of(text)', 'admin_memberships_of(text)',
                              'admin_redeem_ticket(bytea)', 'admin_drop_tickets()'] LOOP
    EXECUTE format('GRANT CREATE ON SCHEMA %I TO fairtally_worker', current_schema());
    EXECUTE format('ALTER FUNCTION %s OWNER TO fairtally_worker', one);
    EXECUTE format('REVOKE CREATE ON SCHEMA %I FROM fairtally_worker', current_schema());
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', one, current_schema());
    EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', one);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO fairtally_api', one);
  END LOOP;
  EXECUTE format('ALTER FUNCTION ensure_month(date) SECURITY DEFINER SET search_path = %I, pg_temp', current_schema());
  REVOKE ALL ON FUNCTION ensure_month(date), secure_tables() FROM PUBLIC;
  GRANT EXECUTE ON FUNCTION ensure_month(date) TO fairtally_worker;
END $$;
