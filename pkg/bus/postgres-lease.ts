import pg from 'pg';
import type { Clock } from '../kernel/clock.js';
import { LANE_COUNT, laneOf } from '../kernel/lanes.js';
import type { Random } from '../kernel/random.js';
import type { RoleName } from '../kernel/roles.js';
import { withSession } from '../postgres/database.js';
import type { Sql } from '../postgres/port.js';

/**
 * Which lanes a member of a role may read. A lane is a session-level advisory lock on a connection of its own, so the
 * lanes of a killed process are free as soon as the server notices that its connection is gone.
 */
export interface LaneLease {
  readonly lanes: readonly number[];
  /** Aborts when the connection is lost: somebody else may hold the lanes now. */
  readonly lost: AbortSignal;
  /** Takes free lanes up to a fair share, gives back what is above it. Call it between batches only. */
  rebalance(): Promise<void>;
  close(): Promise<void>;
}

/** Beside the lanes' locks: each member holds it shared, so that members can be counted. */
const MEMBER = 1_000_000;
const CONNECT_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_AFTER_MS = 10_000;

/** How a member notices that its connection is silent, and the others that the member is. */
export interface Heartbeat {
  /** Between two signs of life. */
  readonly everyMs: number;
  /** Until the answer to one; beyond it the connection is lost. */
  readonly timeoutMs: number;
  /** A member without a sign of life for so long is taken for stopped (SIGSTOP, a frozen machine): its lanes are taken. */
  readonly stoppedAfterMs: number;
}

export const HEARTBEAT: Heartbeat = { everyMs: 5_000, timeoutMs: 5_000, stoppedAfterMs: 30_000 };

export interface LeaseOptions {
  readonly url: string;
  readonly role: RoleName;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Random;
  readonly heartbeat?: Heartbeat;
}

/** The first key of a role's advisory locks; the second is the lane. */
const lockClass = (role: RoleName): number => laneOf('fairtally.bus', role, 0x7fffffff);

const HELD = `
  SELECT objid::bigint AS id, pid = pg_backend_pid() AS mine FROM pg_locks
   WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = $1::bigint::oid
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;

/**
 * Joins a role. The URL must lead to the server itself or a pooler in session mode: advisory locks live in the session.
 *
 * @throws whatever `pg` throws when the server cannot be reached
 */
export async function openLease(options: LeaseOptions): Promise<LaneLease> {
  const { url, role, clock, random, heartbeat = HEARTBEAT } = options;
  const lost = new AbortController();
  const client = new pg.Client({
    // As the URL's user itself: a role may neither see nor end the sessions of that user, which are those of the members.
    connectionString: withSession(url),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: heartbeat.timeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_AFTER_MS,
    application_name: `fairtally lease ${role}`,
  });
  const lose = (): void => lost.abort();
  client.on('error', lose);
  client.on('end', lose);
  const close = async (): Promise<void> => {
    lose();
    // The connection is gone either way, and with it the locks. A silent server would let us wait for its farewell.
    const done = new AbortController();
    const ended = client.end().catch(() => undefined);
    await Promise.race([ended, clock.sleep(heartbeat.timeoutMs, done.signal)]);
    done.abort();
  };
  try {
    await client.connect();
    await client.query('SELECT pg_advisory_lock_shared($1::int, $2::int)', [lockClass(role), MEMBER]);
  } catch (error) {
    await close();
    throw error;
  }
  void beat(client, options, heartbeat, lost);
  let lanes: readonly number[] = [];
  return {
    get lanes() {
      return lanes;
    },
    lost: lost.signal,
    rebalance: async () => {
      lanes = await rebalanced(client, lockClass(role), lanes, random);
    },
    close,
  };
}

/**
 * A sign of life, which the server dates, and the end of the sessions of members that give none: a stopped process answers
 * its connection's probes for ever. Should it wake up it is one holder too many until it sees its loss, which is harmless:
 * an event takes effect once per role whoever delivers it.
 */
const BEAT = `
  SELECT pg_terminate_backend(a.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
   WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND l.classid = $1::bigint::oid AND l.objid = $2::bigint::oid
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND a.pid <> pg_backend_pid() AND a.usename = current_user AND a.state = 'idle'
     AND a.state_change < now() - $3::int * interval '1 millisecond'`;

/** On its own timer, so that a batch which waits for the lost server cannot hide the loss. */
async function beat(
  client: pg.Client,
  { clock, role }: Pick<LeaseOptions, 'clock' | 'role'>,
  { everyMs, stoppedAfterMs }: Heartbeat,
  lost: AbortController,
): Promise<void> {
  while (!lost.signal.aborted) {
    await clock.sleep(everyMs, lost.signal);
    if (lost.signal.aborted) return;
    await client.query(BEAT, [lockClass(role), MEMBER, stoppedAfterMs]).catch(() => lost.abort());
  }
}

/** How many members of a role hold their place at this moment, in any process. */
export async function countMembers(sql: Sql, role: RoleName): Promise<number> {
  const held = await sql.query<{ id: number }>(HELD, [lockClass(role)]);
  return held.filter(({ id }) => id === MEMBER).length;
}

/** Until the transaction ends no member joins the role. @returns false when one is there already */
export async function keepMembersOut(sql: Sql, role: RoleName): Promise<boolean> {
  const [row] = await sql.query<{ alone: boolean }>(
    'SELECT pg_try_advisory_xact_lock($1::int, $2::int) AS alone',
    [lockClass(role), MEMBER],
  );
  return row?.alone === true;
}

async function rebalanced(
  client: pg.Client,
  lockClass: number,
  own: readonly number[],
  random: Random,
): Promise<number[]> {
  const held = await client.query<{ id: string; mine: boolean }>(HELD, [lockClass]);
  const members = held.rows.filter((row) => Number(row.id) === MEMBER).length;
  const share = Math.ceil(LANE_COUNT / Math.max(1, members));
  if (own.length > share) {
    await client.query('SELECT pg_advisory_unlock($1::int, lane) FROM unnest($2::int[]) AS lane', [
      lockClass,
      own.slice(share),
    ]);
    return own.slice(0, share);
  }
  const taken = new Set(held.rows.map((row) => Number(row.id)));
  const free = startingAt(Math.floor(random.unit() * LANE_COUNT)).filter((lane) => !taken.has(lane));
  const wanted = free.slice(0, share - own.length);
  if (wanted.length === 0) return [...own];
  const tried = await client.query<{ lane: number; won: boolean }>(
    'SELECT lane, pg_try_advisory_lock($1::int, lane) AS won FROM unnest($2::int[]) AS lane',
    [lockClass, wanted],
  );
  return [...own, ...tried.rows.filter((row) => row.won).map((row) => row.lane)];
}

/** All lanes from one on: members that join together do not grasp for the same ones. */
const startingAt = (first: number): number[] =>
  Array.from({ length: LANE_COUNT }, (_, i) => (first + i) % LANE_COUNT);
