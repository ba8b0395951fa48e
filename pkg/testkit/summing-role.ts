import { PoisonError } from '../kernel/errors.js';
import type { Sql } from '../postgres/port.js';
import type { Role, RoleEvent } from '../worker/port.js';

/** Sums per player: [XP, events]. */
export type Sums = Map<string, readonly [number, number]>;

export interface SummingOptions {
  /** Called in the transaction, when the rows are locked. */
  readonly whenLocked?: (events: readonly RoleEvent[]) => Promise<void>;
  readonly refresh?: (events: readonly RoleEvent[]) => Promise<void>;
}

export const createSums = (sql: Sql): Promise<object[]> =>
  sql.query(
    'CREATE TABLE sums (player_id text COLLATE "C" PRIMARY KEY, xp bigint NOT NULL, events bigint NOT NULL)',
  );

/** `player=xp/events`, in order of players. */
export async function readSums(sql: Sql): Promise<string> {
  const rows = await sql.query<{ player_id: string; xp: number; events: number }>(
    'SELECT * FROM sums WHERE events > 0 ORDER BY player_id',
  );
  return rows.map((row) => `${row.player_id}=${String(row.xp)}/${String(row.events)}`).join(' ');
}

/**
 * The smallest role that can lose or double something: it adds deltaXp to its player. Payload `fault: poison` can never
 * be applied, `fault: broken` fails like a mistake in a role, `fault: sql` fails in the database.
 */
export function summingRole(options: SummingOptions = {}): Role<Sums, Sums> {
  return {
    name: 'progression',
    takes: (_, type) => type === 'progression',
    load: async (sql, events) => {
      const players = [...new Set(events.map(({ event }) => event.playerId))];
      const given = 'unnest($1::text[]) AS g (player_id)';
      await sql.query(
        `INSERT INTO sums SELECT player_id, 0, 0 FROM ${given} ORDER BY 1 ON CONFLICT DO NOTHING`,
        [players],
      );
      const rows = await sql.query<{ player_id: string; xp: number; events: number }>(
        `SELECT s.* FROM sums s JOIN ${given} USING (player_id) ORDER BY s.player_id FOR UPDATE OF s`,
        [players],
      );
      await options.whenLocked?.(events);
      return new Map(rows.map((row) => [row.player_id, [row.xp, row.events] as const]));
    },
    fold: (state, events) => {
      const sums: Sums = new Map(state);
      for (const { event } of events) {
        const { fault, deltaXp } = event.payload;
        if (fault === 'poison') throw new PoisonError('xp_overflow', 'it would go beyond 2^53');
        if (fault === 'broken') throw new TypeError('a mistake');
        const [xp, count] = sums.get(event.playerId) ?? [0, 0];
        sums.set(event.playerId, [fault === 'sql' ? Number.MAX_VALUE : xp + Number(deltaXp), count + 1]);
      }
      return sums;
    },
    save: async (sql, sums) => {
      await sql.query(
        `UPDATE sums s SET xp = n.xp, events = n.events
           FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS n (player_id, xp, events)
          WHERE s.player_id = n.player_id`,
        [
          [...sums.keys()],
          [...sums.values()].map(([xp]) => xp),
          [...sums.values()].map(([, events]) => events),
        ],
      );
    },
    ...(options.refresh === undefined ? {} : { refresh: options.refresh }),
  };
}
