import { FairtallyError } from '../kernel/errors.js';
import type { Database } from '../postgres/port.js';
import type { PlayerRef } from '../worker/port.js';
import type { Walks } from './reconcile.js';

// Whichever worker comes first when it is due: for the others it is not due any more.
const CLAIM = `
  INSERT INTO healing_walks AS w (kind, place, next_at) VALUES ($1, '{}', now() + make_interval(secs => $2))
  ON CONFLICT (kind) DO UPDATE SET next_at = excluded.next_at WHERE w.next_at <= now()
  RETURNING place`;

// Players as anything about them stands: progress and scores of somebody without a profile are looked at too.
const PLAYERS = `
  SELECT game_id AS "gameId", player_id AS "playerId" FROM (
    (SELECT game_id, player_id FROM player_profiles
      WHERE (game_id, player_id) > ($1, $2) ORDER BY game_id, player_id LIMIT $3)
    UNION
    (SELECT game_id, player_id FROM player_progress
      WHERE (game_id, player_id) > ($1, $2) ORDER BY game_id, player_id LIMIT $3)
    UNION
    (SELECT DISTINCT game_id, subject FROM board_scores
      WHERE subject <> '' AND (game_id, subject) > ($1, $2) ORDER BY game_id, subject LIMIT $3)
  ) AS known (game_id, player_id)
  WHERE $4::text IS NULL OR game_id = $4
  ORDER BY game_id, player_id LIMIT $3`;

export const postgresWalks = (db: Database): Walks => ({
  async claim(kind, everySeconds) {
    const [row] = await db.query<{ place: string[] }>(CLAIM, [kind, everySeconds]);
    return row?.place ?? null;
  },
  async reached(kind, place) {
    await db.query('UPDATE healing_walks SET place = $2 WHERE kind = $1', [kind, place]);
  },
});

/** The next players after one, in byte order of game and player, of one game where it is named. */
export const playersAfter = (
  db: Database,
  { gameId, playerId }: PlayerRef,
  limit: number,
  ofGame: string | null = null,
): Promise<PlayerRef[]> => db.query<PlayerRef>(PLAYERS, [gameId, playerId, limit, ofGame]);

/** About how many players there are, for a progress bar. */
export async function countPlayers(db: Database, ofGame: string | null): Promise<number> {
  const [row] = await db.query<{ count: number }>(
    'SELECT count(*) AS count FROM player_profiles WHERE $1::text IS NULL OR game_id = $1',
    [ofGame],
  );
  return row?.count ?? 0;
}

const KNOWN = `
  SELECT EXISTS (SELECT FROM games WHERE game_id = $1) AS "isGame",
         EXISTS (SELECT FROM player_profiles WHERE game_id = $1 AND player_id = $2)
      OR EXISTS (SELECT FROM player_progress WHERE game_id = $1 AND player_id = $2)
      OR EXISTS (SELECT FROM board_scores WHERE game_id = $1 AND subject = $2 AND subject <> '')
      OR EXISTS (SELECT FROM events WHERE game_id = $1 AND player_id = $2) AS "isPlayer"`;

/**
 * Of what does not exist nothing is wrong: whoever names a game or a player by hand is told of a slip.
 *
 * @param playerId null: all of the game
 * @throws FairtallyError `game_unknown`, `player_unknown`
 */
export async function refuseUnknown(db: Database, gameId: string, playerId: string | null): Promise<void> {
  const isKnown = await isPlayerKnown(db, gameId, playerId ?? '');
  if (playerId !== null && !isKnown)
    throw new FairtallyError('player_unknown', `nothing is known of a player "${playerId}" of ${gameId}`);
}

/**
 * Whether anything is known of a player.
 *
 * @throws FairtallyError `game_unknown`
 */
export async function isPlayerKnown(db: Database, gameId: string, playerId: string): Promise<boolean> {
  const [known] = await db.query<{ isGame: boolean; isPlayer: boolean }>(KNOWN, [gameId, playerId]);
  if (known?.isGame !== true)
    throw new FairtallyError('game_unknown', `there is no game "${gameId}": name one with --game`);
  return known.isPlayer;
}

/** The games there are, in byte order. */
export async function gamesOf(db: Database): Promise<string[]> {
  const rows = await db.query<{ gameId: string }>('SELECT game_id AS "gameId" FROM games ORDER BY game_id');
  return rows.map(({ gameId }) => gameId);
}
