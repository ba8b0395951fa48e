import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import { laneOf } from '../kernel/lanes.js';
import type { Database, Sql } from '../postgres/port.js';
import { holdSession, type SessionHold } from '../postgres/session-hold.js';
import type { Logger } from '../runtime/port.js';
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
/** First key of the advisory lock that each publisher holds, shared, as long as it may publish; the second is the bus. */
const PUBLISHERS = 7_041_777;
const keyOf = ({ driver, name }: BusUse): number =>
  laneOf('fairtally.publishers', `${driver} ${name}`, 0x7fffffff);

export interface PublisherOptions {
  readonly db: Database;
  readonly url: string;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Logger;
  /** Another bus was begun with while the session of this process was lost: it must not publish any more. */
  readonly onRefused: (error: FairtallyError) => void;
}

/**
 * Notes that this process publishes to a bus, until it is closed or dies: as long as one does, the bus is not drained and no
 * other is begun with. The session comes first, so that of two processes which start with different buses at least one sees the
 * other.
 *
 * While PostgreSQL cannot be reached nobody can drain either, so a publisher to a broker goes on.
 *
 * @throws as `noteInUse`
 */
export async function holdPublisher(use: BusUse, options: PublisherOptions): Promise<SessionHold> {
  const { db, url, clock, logger, onRefused } = options;
  const hold = await holdSession({
    url,
    name: 'publisher',
    clock,
    logger,
    take: async (client, isFirst) => {
      await client.query('SELECT pg_advisory_lock_shared($1::int, $2::int)', [PUBLISHERS, keyOf(use)]);
      if (isFirst) return;
      await noteInUse(db, use).catch((error: unknown) => {
        if (!(error instanceof FairtallyError) || error.retriable) throw error;
        onRefused(error);
      });
    },
  });
  try {
    await noteInUse(db, use);
    return hold;
  } catch (error) {
    await hold.close();
    throw error;
  }
}

/** How many processes may publish to a bus at this moment. */
export async function countPublishers(sql: Sql, use: BusUse): Promise<number> {
  const [row] = await sql.query<{ publishers: number }>(
    `SELECT count(*) AS publishers FROM pg_locks
      WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = $1::bigint::oid AND objid = $2::bigint::oid
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [PUBLISHERS, keyOf(use)],
  );
  return row?.publishers ?? 0;
}

/**
 * Notes that this installation uses a bus from now on; `null` is one that keeps nothing and is not noted.
 *
 * Events that still wait on another bus, or may come to it, would be left behind, so that is refused. The postgres bus is looked
 * into each time; of a broker only `noteDrained` tells.
 *
 * @throws FairtallyError `bus_published`, `events_unread`, `bus_not_drained`
 */
export async function noteInUse(db: Database, use: BusUse | null): Promise<void> {
  await db.transaction(async (sql) => {
    await sql.query('SELECT pg_advisory_xact_lock($1)', [USES_LOCK]);
    const known = await sql.query<BusUse & { state: string }>(
      'SELECT driver, name, state FROM bus_uses ORDER BY driver, name',
    );
    for (const other of known) {
      if (use !== null && isSame(other, use)) continue;
      await refusePublished(sql, other);
      if (isSame(other, POSTGRES)) await refuseUnread(sql);
      else if (other.state === 'in_use') throw notDrained(other);
      await setState(sql, other, 'drained');
    }
    if (use !== null) await setState(sql, use, 'in_use');
  });
}

/**
 * Notes that nothing waits on a bus any more: another may be used instead.
 *
 * @throws FairtallyError `bus_published` when somebody may still publish to it, `events_unread`
 */
export async function noteDrained(db: Database, use: BusUse): Promise<void> {
  await db.transaction(async (sql) => {
    await sql.query('SELECT pg_advisory_xact_lock($1)', [USES_LOCK]);
    await refusePublished(sql, use);
    if (isSame(use, POSTGRES)) await refuseUnread(sql);
    await setState(sql, use, 'drained');
  });
}

async function setState(sql: Sql, use: BusUse, state: 'in_use' | 'drained'): Promise<void> {
  await sql.query(
    `INSERT INTO bus_uses (driver, name, state) VALUES ($1, $2, $3)
     ON CONFLICT (driver, name) DO UPDATE SET state = excluded.state, changed_at = now()
      WHERE bus_uses.state <> excluded.state`,
    [use.driver, use.name, state],
  );
}

async function refusePublished(sql: Sql, use: BusUse): Promise<void> {
  const publishers = await countPublishers(sql, use);
  if (publishers === 0) return;
  throw new FairtallyError(
    'bus_published',
    `${String(publishers)} gateways still publish to ${describe(use)}: stop them, then see to it that nothing waits there`,
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

const describe = ({ driver, name }: BusUse): string =>
  name === '' ? `BUS=${driver}` : `BUS=${driver} (BUS_NAME=${name})`;

const notDrained = (use: BusUse): FairtallyError =>
  new FairtallyError(
    'bus_not_drained',
    `this installation uses ${describe(use)} and events may wait there: stop the gateways, keep its workers ` +
      `running, and let \`fairtally bus drain\` with those settings see the end of it`,
  );
