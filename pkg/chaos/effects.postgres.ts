import type { Sql } from '../postgres/port.js';
import { rivalOf, type EventEffects, type EventLetters, type Found } from './history.js';

interface Named {
  readonly id: string;
  /** It is the second content that was sent under its id: its payload says so. */
  readonly isRival: boolean;
}

const keyOf = ({ id, isRival }: Named): string => (isRival ? rivalOf(id) : id);

/**
 * What stands of the events of a game: how often each is in the archive, and counted: in the ledger of experience where its
 * type gives some, else in the inbox of progression; and the dead letters.
 */
export async function readFound(sql: Sql, gameId: string): Promise<Found> {
  const effects = await sql.query<Named & Omit<EventEffects, 'eventId'>>(
    `SELECT e.event_id AS id, e.payload ? 'rival' AS "isRival", count(DISTINCT e.ctid) AS archived,
            CASE WHEN e.type = 'progression' THEN count(DISTINCT l.ctid) ELSE count(DISTINCT i.ctid) END AS counted
       FROM events e
       LEFT JOIN progress_events l USING (game_id, player_id, dedupe_day, identity)
       LEFT JOIN inbox i ON i.role = 'progression' AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity
      WHERE e.game_id = $1
      GROUP BY 1, 2, e.type`,
    [gameId],
  );
  const letters = await sql.query<Named & Omit<EventLetters, 'eventId'>>(
    `SELECT coalesce(event_id, transport_position) AS id, position('"rival":' IN body) > 0 AS "isRival", reason,
            count(DISTINCT role) AS roles
       FROM dead_letters WHERE game_id = $1 OR game_id IS NULL
      GROUP BY 1, 2, 3`,
    [gameId],
  );
  return {
    effects: effects.map(({ archived, counted, ...named }) => ({ eventId: keyOf(named), archived, counted })),
    letters: letters.map(({ reason, roles, ...named }) => ({ eventId: keyOf(named), reason, roles })),
  };
}

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
