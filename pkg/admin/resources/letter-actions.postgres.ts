import type { Sql } from '../../postgres/port.js';
import { instantOf, type Schemas } from './answers.js';

type Action = Pick<Schemas['RedriveProgress'], 'actionId' | 'by' | 'reason' | 'at'>;

/** A redrive that was decided in this game by the API; null when there is none of this id. */
export async function readAction(sql: Sql, gameId: string, actionId: number): Promise<Action | null> {
  const [row] = await sql.query<{ actor: string; why: string; madeAt: Date }>(
    `SELECT actor, why, made_at AS "madeAt" FROM operator_actions
      WHERE id = $2 AND game_id = $1 AND action = 'redrive'`,
    [gameId, actionId],
  );
  if (row === undefined) return null;
  return { actionId, by: row.actor, reason: row.why, at: instantOf(row.madeAt.getTime()) };
}
