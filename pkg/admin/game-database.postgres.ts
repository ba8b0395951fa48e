import type { Clock } from '../kernel/clock.js';
import type { Database, Sql } from '../postgres/port.js';
import { appendAudit } from './audit-log.postgres.js';
import type { Actor, AuditEntry, Change, GameDatabase } from './port.js';

/**
 * Names the game inside each transaction, and nowhere else: with the transaction it is gone, so that no connection of the
 * pool ever remembers one. `db` must act as the role fairtally_api (`refuseUnsafeRole`).
 */
export function createGameDatabase(db: Database, clock: Pick<Clock, 'now'>): GameDatabase {
  const write = <T>(
    gameId: string,
    actor: Actor,
    work: (change: Change) => Promise<T>,
    mustBeAudited: boolean,
  ): Promise<T> =>
    db.transaction(async (sql) => {
      await enterGame(sql, gameId);
      const entries: AuditEntry[] = [];
      const result = await work({ sql, audit: (entry) => void entries.push(entry) });
      if (mustBeAudited && entries.length === 0) throw new Error('a change must be audited');
      if (entries.length > 0) await appendAudit(sql, { gameId, actor, entries, clock });
      return result;
    });
  return {
    read: (gameId, work) =>
      db.transaction(
        async (sql) => {
          await enterGame(sql, gameId);
          return work(sql);
        },
        { isolation: 'repeatable read', readOnly: true },
      ),
    change: (gameId, actor, work) => write(gameId, actor, work, true),
    upkeep: (gameId, actor, work) => write(gameId, actor, work, false),
  };
}

/**
 * Every statement is planned for its values: one key signs all but a few events, one metric has all but a few findings, and a plan
 * for any value reads them all to find those few.
 */
const enterGame = async (sql: Sql, gameId: string): Promise<void> => {
  if (gameId === '') throw new Error('a transaction of the admin API must name its game');
  await sql.query(
    "SELECT set_config('app.game', $1, true), set_config('plan_cache_mode', 'force_custom_plan', true)",
    [gameId],
  );
};

/** A store that opens transactions of its own, inside one that is open. */
export const databaseWithin = (sql: Sql): Database => ({
  query: (text, values) => sql.query(text, values),
  transaction: (work) => work(sql),
  close: async () => undefined,
});
