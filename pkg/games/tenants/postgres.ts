import { FairtallyError } from '../../kernel/errors.js';
import type { Random } from '../../kernel/random.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { Sealer } from '../../secrets/port.js';

export interface NewGame {
  /** `[a-z0-9-]{1,32}`: it stands in session key ids. */
  readonly gameId: string;
  /** `YYYY-MM-DD`: events of earlier days are refused for good. */
  readonly dedupeFloor: string;
  readonly acceptancePastDays?: number;
  readonly acceptanceAheadMs?: number;
}

export interface GameStore {
  /**
   * Creates a game with its own session master. false when it exists; nothing changes then.
   *
   * @throws FairtallyError `invalid_game`
   */
  create(game: NewGame): Promise<boolean>;
  /** At most 1000, by id. */
  list(): Promise<readonly { readonly gameId: string; readonly dedupeFloor: string }[]>;
}

const GAME_ID = /^[a-z0-9-]{1,32}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;
const FIRST_MASTER_ID = 'm1';
const MASTER_BYTES = 32;
const MAX_GAMES = 1000;

export function createGameStore(
  database: Database,
  sealer: Sealer,
  random: Pick<Random, 'bytes'>,
): GameStore {
  return {
    async create({ gameId, dedupeFloor, acceptancePastDays = 30, acceptanceAheadMs = 300_000 }) {
      if (!GAME_ID.test(gameId))
        throw new FairtallyError('invalid_game', 'a game id must match [a-z0-9-]{1,32}');
      if (!DAY.test(dedupeFloor))
        throw new FairtallyError('invalid_game', 'a dedupe floor must be a day, YYYY-MM-DD');
      const place = { table: 'games', gameId, keyId: FIRST_MASTER_ID };
      const master = sealer.seal(random.bytes(MASTER_BYTES), place);
      const rows = await database.query(
        `INSERT INTO games (game_id, dedupe_floor, acceptance_past_days, acceptance_ahead_ms, session_master_id, session_master)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING game_id`,
        [gameId, dedupeFloor, acceptancePastDays, acceptanceAheadMs, FIRST_MASTER_ID, master],
      );
      return rows.length > 0;
    },
    async list() {
      const rows = await database.query<{ game_id: string; dedupe_floor: string }>(
        'SELECT game_id, dedupe_floor FROM games ORDER BY game_id LIMIT $1',
        [MAX_GAMES],
      );
      return rows.map((row) => ({ gameId: row.game_id, dedupeFloor: row.dedupe_floor }));
    },
  };
}

interface SealedMaster {
  readonly game_id: string;
  readonly session_master_id: string;
  readonly session_master: string;
}

/**
 * For whoever starts or is about to seal a secret: what another master key sealed no other process can open. It is ours when it
 * opens the secret of any game, so that one secret that somebody sealed with another key stands in nobody's way.
 *
 * @throws FairtallyError `foreign_master_key` when there are games, and the secret of none can be opened
 */
export async function refuseForeignMasterKey(sql: Sql, sealer: Sealer): Promise<void> {
  const games = await sql.query<SealedMaster>(
    'SELECT game_id, session_master_id, session_master FROM games ORDER BY game_id LIMIT $1',
    [MAX_GAMES],
  );
  const isOurs = games.some(({ game_id: gameId, session_master_id: keyId, session_master: sealed }) =>
    sealer.canOpen(sealed, { table: 'games', gameId, keyId }),
  );
  if (games.length === 0 || isOurs) return;
  throw new FairtallyError(
    'foreign_master_key',
    'the master key is not the one of this database: set the MASTER_KEY that its gateways have, the old ones behind it',
  );
}
