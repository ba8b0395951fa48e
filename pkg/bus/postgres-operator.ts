import { FairtallyError } from '../kernel/errors.js';
import { LANE_COUNT } from '../kernel/lanes.js';
import type { RoleName } from '../kernel/roles.js';
import type { Database, Sql } from '../postgres/port.js';
import type { BusOperator, Rewound, TopologyItem } from './operator.js';
import { countMembers, keepMembersOut } from './postgres-lease.js';

const FIRST_KEPT = `
  SELECT count(*) AS lanes, max(head.published_at) AS newest
    FROM bus_lanes l
   CROSS JOIN LATERAL (SELECT position, published_at FROM bus_events e WHERE e.lane = l.lane ORDER BY e.position LIMIT 1) head
   WHERE head.position > 1 AND head.published_at > to_timestamp($1::double precision / 1000)`;

/** Positions of a lane are in the order of commit, not of their time, so the first at or after the instant decides. */
const REWIND = `
  WITH target AS (
    SELECT l.lane, first.position - 1 AS position
      FROM bus_lanes l
     CROSS JOIN LATERAL (
       SELECT min(e.position) AS position FROM bus_events e
        WHERE e.lane = l.lane AND e.published_at >= to_timestamp($2::double precision / 1000)
     ) first
     WHERE first.position IS NOT NULL
  ), moved AS (
    UPDATE bus_cursors c SET position = t.position
      FROM target t, bus_cursors old
     WHERE c.role = $1 AND c.lane = t.lane AND c.position > t.position AND old.role = c.role AND old.lane = c.lane
    RETURNING old.position - t.position AS messages
  )
  SELECT count(*) AS moved, coalesce(sum(messages), 0)::bigint AS messages FROM moved`;

/** The postgres bus lives in the schema: migrations make it, and there is nothing of its own to set. */
export function createPostgresOperator({ db }: { readonly db: Database }): BusOperator {
  return {
    check: async () => [await lanes(db)],
    create: async () => [{ resource: 'the log', result: 'was_right' }],
    rewind: (toMs, roles) => db.transaction((sql) => rewind(sql, toMs, roles)),
    close: async () => undefined,
  };
}

async function lanes(db: Database): Promise<TopologyItem> {
  const [row] = await db.query<{ lanes: number }>('SELECT count(*) AS lanes FROM bus_lanes');
  const found = String(row?.lanes ?? 0);
  const expected = String(LANE_COUNT);
  return { resource: 'the log', setting: 'lanes', expected, found, isRight: found === expected };
}

async function rewind(sql: Sql, toMs: number, roles: readonly RoleName[]): Promise<Rewound[]> {
  const [kept] = await sql.query<{ lanes: number; newest: Date | null }>(FIRST_KEPT, [toMs]);
  if (kept !== undefined && kept.newest !== null) {
    throw new FairtallyError(
      'not_kept',
      `the log of ${String(kept.lanes)} lanes begins later; ${kept.newest.toISOString()} is the earliest instant that all of them have`,
    );
  }
  const done: Rewound[] = [];
  for (const role of roles) {
    if (!(await keepMembersOut(sql, role))) {
      const members = await countMembers(sql, role);
      throw new FairtallyError('roles_running', `${String(members)} workers run ${role}: stop them first`);
    }
    const [row] = await sql.query<{ moved: number; messages: number }>(REWIND, [role, toMs]);
    done.push({ role, moved: row?.moved ?? 0, messages: row?.messages ?? 0 });
  }
  return done;
}
