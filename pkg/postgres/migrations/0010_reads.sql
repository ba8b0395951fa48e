-- What lets a page of a million rows be read as one of a thousand.

-- The place of a row in its final ranking, hidden players counted: 1, 2, 3 ... in the order of the board. So a rank is a place
-- less the hidden before it, and no page of a closed cycle reads more than itself. null: closed before there were places.
ALTER TABLE leaderboard_snapshots ADD COLUMN place bigint;
CREATE UNIQUE INDEX leaderboard_snapshots_by_place ON leaderboard_snapshots (game_id, board, cycle, partition, place);

-- What one person did, and what was done to one thing: people write the audit log, so these cost next to nothing.
CREATE INDEX admin_audit_by_actor ON admin_audit (game_id, actor, seq);
CREATE INDEX admin_audit_by_subject ON admin_audit (game_id, subject, seq);
