import { FairtallyError } from '../kernel/errors.js';
import type { Database, Sql } from '../postgres/port.js';
import { rolesWithUnread } from './postgres-log.js';

/** One bus that events may wait on. */
export interface BusUse {
  readonly driver: string;
  /** Topic, or prefix of queues. */
  readonly name: string;
}

const POSTGRES: BusUse = { driver: 'postgres', name: '' };
const isSame = (a: BusUse, b: BusUse): boolean => a.driver === b.driver && a.name === b.name;

/** Any number; nothing else uses it. Two processes that start with different buses must not overlook each other. */
const USES_LOCK = 7_041_776;

/**
 * Notes that this installation publishes to a bus from now on; `null` is one that keeps nothing and is not noted.
 *
 * Events that still wait on another bus would be left behind, so that is refused. The postgres bus is looked into; of a
 * broker only `noteDrained` tells.
 *
 * @throws FairtallyError `events_unread`, `bus_not_drained`
 */
export async function noteInUse(db: Database, use: BusUse | null): Promise<void> {
  await db.transaction(async (sql) => {
    await sql.query('SELECT pg_advisory_xact_lock($1)', [USES_LOCK]);
    const others = (
      await sql.query<BusUse>(
        "SELECT driver, name FROM bus_uses WHERE state = 'in_use' ORDER BY driver, name",
      )
    ).filter((other) => use === null || !isSame(other, use));
    for (const other of others) {
      if (!isSame(other, POSTGRES)) throw notDrained(other);
      await refuseUnread(sql);
      await setState(sql, other, 'drained');
    }
    if (use !== null) await setState(sql, use, 'in_use');
  });
}

/** Notes that nothing waits on a bus any more: another may be used instead. */
export const noteDrained = (sql: Sql, use: BusUse): Promise<void> => setState(sql, use, 'drained');

async function setState(sql: Sql, use: BusUse, state: 'in_use' | 'drained'): Promise<void> {
  await sql.query(
    `INSERT INTO bus_uses (driver, name, state) VALUES ($1, $2, $3)
     ON CONFLICT (driver, name) DO UPDATE SET state = excluded.state, changed_at = now()
      WHERE bus_uses.state <> excluded.state`,
    [use.driver, use.name, state],
  );
}

async function refuseUnread(sql: Sql): Promise<void> {
  const [role] = await rolesWithUnread(sql);
  if (role === undefined) return;
  throw new FairtallyError(
    'events_unread',
    `${String(role.waiting)} events wait for ${role.role} on the postgres bus: stop the gateways and run workers with BUS=postgres until nothing waits`,
  );
}

const notDrained = ({ driver, name }: BusUse): FairtallyError =>
  new FairtallyError(
    'bus_not_drained',
    `this installation uses BUS=${driver} (BUS_NAME=${name}) and events may wait there: stop the gateways, keep its workers ` +
      `running, and let \`fairtally bus drain\` with those settings see the end of it`,
  );
