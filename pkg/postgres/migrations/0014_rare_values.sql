-- Lists that are asked for what is rare in them: a player among the dead letters of all, a metric with a few cases, a day long ago.
-- They end at their page and read nothing else. Events write none of these tables; letters and cases come of few of them.

CREATE INDEX dead_letters_by_player ON dead_letters (game_id, player_id, id);
CREATE INDEX dead_letters_by_reason ON dead_letters (game_id, reason, id);
-- Counts letters of a state, and all of them by role, reason and state, without reading a letter.
CREATE INDEX dead_letters_by_state ON dead_letters (game_id, state, role, reason);
DROP INDEX dead_letters_open_of_game;

CREATE INDEX cases_by_metric ON cases (game_id, metric, latest_finding_at DESC, case_id DESC);

CREATE INDEX admin_audit_by_time ON admin_audit (game_id, at_ms, seq);
