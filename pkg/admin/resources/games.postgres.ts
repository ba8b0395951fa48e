import type { Sql } from '../../postgres/port.js';
import { instantOf, type Schemas } from './answers.js';

type StoredGame = Pick<Schemas['Game'], 'gameId' | 'createdAt' | 'dedupeFloor' | 'acceptancePastDays'>;

/** null when there is no such game. */
export async function readGame(sql: Sql, gameId: string): Promise<StoredGame | null> {
  const [row] = await sql.query<{ createdAt: Date; dedupeFloor: string; acceptancePastDays: number }>(
    `SELECT created_at AS "createdAt", dedupe_floor AS "dedupeFloor", acceptance_past_days AS "acceptancePastDays"
       FROM games WHERE game_id = $1`,
    [gameId],
  );
  return row === undefined ? null : { gameId, ...row, createdAt: instantOf(row.createdAt.getTime()) };
}
