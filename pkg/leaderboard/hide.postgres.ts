import type { Sql } from '../postgres/port.js';
import type { PlayerStateStore } from './hide.js';

const SET_HIDDEN = `
INSERT INTO player_state AS p (game_id, player_id, hidden, revision, changed_by, reason)
VALUES ($1, $2, $3, 1, $4, $5)
ON CONFLICT (game_id, player_id) DO UPDATE
SET hidden = excluded.hidden, revision = p.revision + 1, changed_at = now(), changed_by = excluded.changed_by, reason = excluded.reason
WHERE p.hidden <> excluded.hidden
RETURNING revision`;

export const postgresPlayerStates = (db: Sql): PlayerStateStore => ({
  async setHidden({ gameId, playerId, hidden, by, reason }) {
    return (await db.query(SET_HIDDEN, [gameId, playerId, hidden, by, reason])).length > 0;
  },
});
