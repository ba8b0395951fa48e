import type { Sql } from '../postgres/port.js';
import type { EventEffects } from './history.js';

/** Every archived event of a game of which each must add experience: how often it stands in the archive and in the ledger. */
export const readEffects = (sql: Sql, gameId: string): Promise<EventEffects[]> =>
  sql.query(
    `SELECT e.event_id AS "eventId", count(DISTINCT e.ctid) AS archived, count(l.identity) AS counted
       FROM events e LEFT JOIN progress_events l USING (game_id, player_id, dedupe_day, identity)
      WHERE e.game_id = $1
      GROUP BY e.event_id`,
    [gameId],
  );

/** Events that some role has not settled: archived, but not in its inbox. */
export async function countUnsettled(sql: Sql, gameId: string, roles: readonly string[]): Promise<number> {
  const [row] = await sql.query<{ unsettled: number }>(
    `SELECT count(*) AS unsettled FROM events e CROSS JOIN unnest($2::text[]) AS r (role)
      WHERE e.game_id = $1
        AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.role = r.role AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity)`,
    [gameId, roles],
  );
  return row?.unsettled ?? 0;
}
