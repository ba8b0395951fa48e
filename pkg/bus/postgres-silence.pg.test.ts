import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { laneOf } from '../kernel/lanes.js';
import { ok } from '../kernel/outcome.js';
import { systemRandom } from '../kernel/random.js';
import { createDatabase } from '../postgres/database.js';
import type { Database } from '../postgres/port.js';
import { eventually } from '../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { startTcpProxy, type TcpProxy } from '../testkit/tcp-proxy.js';
import type { Bus } from './port.js';
import { openLease } from './postgres-lease.js';
import { createPostgresBus, type PostgresBusOptions } from './postgres.js';

// Longer than a busy machine keeps anybody waiting who lives.
const STATEMENT_TIMEOUT_MS = 1_500;
const QUERY_TIMEOUT_MS = 2_000;
const HEARTBEAT = { everyMs: 50, timeoutMs: 2_000, stoppedAfterMs: 2_500 };

let database: TestDatabase;
let proxy: TcpProxy;
let db: Database;
let bus: Bus;
let proxied: string;

const createBus = (more: Partial<PostgresBusOptions> = {}): Bus =>
  createPostgresBus({
    db,
    url: proxied,
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
    maxAttempts: 3,
    backoff: { baseMs: 1, capMs: 4 },
    deadLetters: { put: () => Promise.resolve() },
    rebalanceMs: 60_000,
    heartbeat: HEARTBEAT,
    ...more,
  });

beforeEach(async () => {
  database = await testDatabase();
  const url = new URL(database.url);
  proxy = await startTcpProxy(Number(url.port));
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  db = createDatabase({
    url: url.toString(),
    poolSize: 4,
    applicationName: 'behind',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    queryTimeoutMs: QUERY_TIMEOUT_MS,
  });
  proxied = url.toString();
  bus = createBus();
});

afterEach(async () => {
  await bus.close();
  await db.close();
  await proxy.close();
  await database.close();
});

const publish = (messageId: string): Promise<void> =>
  bus.publish([{ gameId: 'demo', playerId: 'p', messageId, body: messageId }]);

/** What a failover does to the sessions of the old host; nobody tells their clients. */
async function serverIsReplaced(): Promise<void> {
  proxy.silence();
  await database.db.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND (application_name = 'behind' OR application_name LIKE 'fairtally lease%')`,
  );
}

test('every connection goes silent: publishing and reading go on by themselves on new ones', async () => {
  const seen: string[] = [];
  await bus.subscribe('archive', async (batch) => {
    seen.push(...batch.map(({ messageId }) => messageId));
    return batch.map(() => ok);
  });
  // All connections of the pool have been used, so that each of them is there to fall silent.
  await Promise.all(Array.from({ length: 4 }, () => db.query('SELECT pg_sleep(0.05)')));
  await publish('before');
  await eventually('the first message is read', async () => seen.includes('before'));
  await serverIsReplaced();
  await expect(publish('lost')).rejects.toBeInstanceOf(OutageError);
  // One silent connection condemns its idle neighbours: the next try meets a server that answers.
  await publish('after');
  await eventually('reading goes on', async () => seen.includes('after'));
  await eventually('it is settled', async () => (await bus.lag('archive')).waiting === 0);
});

test('a transaction on a silent connection is an outage at once after its timeout and leaves no connection behind', async () => {
  const work = db.transaction(async (sql) => {
    await sql.query('SELECT 1');
    await serverIsReplaced();
    await sql.query('SELECT 2');
  });
  await expect(work).rejects.toBeInstanceOf(OutageError);
  expect(await db.transaction((sql) => sql.query('SELECT 3 AS n'))).toEqual([{ n: 3 }]);
});

test('a member that stands still without a sign of life loses its lanes to one that lives', async () => {
  const member = { url: database.url, role: 'archive', clock: systemClock, random: systemRandom } as const;
  const never = 3_600_000;
  const stopped = await openLease({
    ...member,
    heartbeat: { ...HEARTBEAT, everyMs: never, stoppedAfterMs: never },
  });
  const slow = await openLease({ ...member, heartbeat: { ...HEARTBEAT, stoppedAfterMs: never } });
  await stopped.rebalance();
  expect(stopped.lanes).toHaveLength(16);
  // It beats while its batch takes long, and keeps its lanes.
  await slow.rebalance();
  const seen = new Set<string>();
  bus = createBus({ rebalanceMs: 20 });
  await bus.subscribe('archive', async (batch) => {
    for (const { playerId } of batch) seen.add(playerId);
    return batch.map(() => ok);
  });
  const players = Array.from({ length: 64 }, (_, n) => `p-${String(n)}`);
  await bus.publish(players.map((playerId) => ({ gameId: 'demo', playerId, messageId: playerId, body: '' })));
  const taken = new Set(stopped.lanes);
  const abandoned = players.filter((playerId) => taken.has(laneOf('demo', playerId)));
  await eventually('the lanes of the stopped member are read', async () =>
    abandoned.every((playerId) => seen.has(playerId)),
  );
  expect(stopped.lost.aborted).toBe(true);
  expect([slow.lost.aborted, slow.lanes.length]).toEqual([false, 16]);
  await Promise.all([slow.close(), stopped.close()]);
});

test('the server is told when to give up a session whose host is gone', async () => {
  const [row] = await db.query<{ idle: string; count: string; patience: string }>(
    `SELECT current_setting('tcp_keepalives_idle') AS idle, current_setting('tcp_keepalives_count') AS count,
            current_setting('tcp_user_timeout') AS patience`,
  );
  expect(row).toEqual({ idle: '10', count: '3', patience: '30000' });
});
