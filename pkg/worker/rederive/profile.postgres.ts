import type { Database, Sql } from '../../postgres/port.js';
import type { PlayerRef } from '../port.js';

// Who archives an event holds the row of its player: so the next statement reads all that the row has counted, and no more.
const HOLD = `SELECT events FROM player_profiles WHERE game_id = $1 AND player_id = $2 FOR NO KEY UPDATE`;

const MAKE = `
  INSERT INTO player_profiles AS p (game_id, player_id, first_seen_ms, last_seen_ms, events)
  SELECT $1, $2, min(ts_ms), max(ts_ms), count(*) FROM events WHERE game_id = $1 AND player_id = $2 HAVING count(*) > 0
  ON CONFLICT (game_id, player_id) DO UPDATE SET
    first_seen_ms = excluded.first_seen_ms, last_seen_ms = excluded.last_seen_ms, events = excluded.events
   WHERE p.events <= excluded.events OR $3
  RETURNING events`;

/**
 * Makes a player's profile again from the archive. One that counts more events than the archive has is all that tells of events
 * that were lost: it is only believed to be wrong when somebody says so.
 *
 * @param isArchiveWhole somebody says so
 * @returns how many events it counts now; null: it was left as it is
 */
export async function makeProfile(
  sql: Sql,
  { gameId, playerId }: PlayerRef,
  isArchiveWhole: boolean,
): Promise<number | null> {
  await sql.query(HOLD, [gameId, playerId]);
  const [made] = await sql.query<{ events: number }>(MAKE, [gameId, playerId, isArchiveWhole]);
  return made?.events ?? null;
}

/** Whether the database answers: then what failed was asked for too much, or of the wrong rows. */
export const answers = (db: Database): Promise<boolean> =>
  db.query('SELECT 1').then(
    () => true,
    () => false,
  );
