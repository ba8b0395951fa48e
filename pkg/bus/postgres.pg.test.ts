import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { ok } from '../kernel/outcome.js';
import { systemRandom } from '../kernel/random.js';
import { createDatabase } from '../postgres/database.js';
import { eventually } from '../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { startTcpProxy, type TcpProxy } from '../testkit/tcp-proxy.js';
import { busContract } from './contract.js';
import type { Bus, BusMessage, Delivery } from './port.js';
import { trimLog } from './postgres-log.js';
import { createPostgresBus, rolesWithUnread, type PostgresBusOptions } from './postgres.js';

const common = {
  clock: systemClock,
  random: systemRandom,
  logger: quietLogger,
  maxAttempts: 3,
  backoff: { baseMs: 1, capMs: 4 },
  deadLetters: { put: () => Promise.resolve() },
  rebalanceMs: 20,
} satisfies Partial<PostgresBusOptions>;

interface Process {
  readonly bus: Bus;
  close(): Promise<void>;
}

/** A bus with a pool of its own, as another process would have. */
function startProcess(url: string, more: Partial<PostgresBusOptions> = {}): Process {
  const db = createDatabase({ url, poolSize: 4 });
  const bus = createPostgresBus({ ...common, ...more, db, url });
  return { bus, close: () => bus.close().then(() => db.close()) };
}

const through = (url: string, proxy: TcpProxy): string => {
  const proxied = new URL(url);
  proxied.hostname = '127.0.0.1';
  proxied.port = String(proxy.port);
  return proxied.toString();
};

busContract({
  name: 'postgres',
  makeBus: async (settings) => {
    const database = await testDatabase(2);
    const proxy = await startTcpProxy(Number(new URL(database.url).port));
    const processes = [startProcess(through(database.url, proxy), settings)];
    const [first] = processes;
    if (first === undefined) throw new Error('no process');
    return {
      bus: first.bus,
      second: async () => {
        const process = startProcess(database.url, settings);
        processes.push(process);
        return process.bus;
      },
      outage: proxy,
      loseReply: (text) => void proxy.cutAfter(text, 'answered'),
      close: async () => {
        for (const process of processes) await process.close();
        await proxy.close();
        await database.close();
      },
    };
  },
});

describe('the log', () => {
  let database: TestDatabase;
  const processes: Process[] = [];
  const start = (more: Partial<PostgresBusOptions> = {}): Process => {
    const process = startProcess(database.url, more);
    processes.push(process);
    return process;
  };
  beforeEach(async () => {
    database = await testDatabase();
  });
  afterEach(async () => {
    for (const process of processes.splice(0)) await process.close();
    await database.close();
  });

  let counter = 0;
  const messages = (count: number, players: number, tag = 'x'): BusMessage[] =>
    Array.from({ length: count }, (_, n) => ({
      gameId: 'demo',
      playerId: `p-${String(n % players)}`,
      messageId: `m-${String((counter += 1))}`,
      body: `${tag}-${String(n)}`,
    }));
  const positions = (deliveries: readonly Delivery[]): Map<number, number[]> => {
    const lanes = new Map<number, number[]>();
    for (const { position } of deliveries) {
      const [lane = 0, place = 0] = position.split('/').map(Number);
      lanes.set(lane, [...(lanes.get(lane) ?? []), place]);
    }
    return lanes;
  };
  const waitingOf = async (bus: Bus): Promise<number> => (await bus.lag('archive')).waiting;
  const settled = (bus: Bus): Promise<void> =>
    eventually('all is settled', async () => (await waitingOf(bus)) === 0);

  test('two gateways publish at once while members read: no position is skipped or read out of order', async () => {
    const [left, right, reader] = [start(), start(), start()];
    const seen: Delivery[] = [];
    await reader.bus.subscribe('archive', async (batch) => {
      seen.push(...batch);
      return batch.map(() => ok);
    });
    const publishing = [left, right].flatMap(({ bus }) =>
      Array.from({ length: 20 }, async () => {
        for (let n = 0; n < 10; n += 1) await bus.publish(messages(7, 50));
      }),
    );
    await Promise.all(publishing);
    await settled(reader.bus);
    expect(seen).toHaveLength(2 * 20 * 10 * 7);
    for (const places of positions(seen).values()) expect(places).toEqual(places.map((_, n) => n + 1));
  });

  test('a slow transaction that holds lane locks delays the positions behind it, and none is skipped', async () => {
    const [gateway, reader] = [start(), start()];
    const seen: Delivery[] = [];
    await reader.bus.subscribe('archive', async (batch) => {
      seen.push(...batch);
      return batch.map(() => ok);
    });
    const slow = new pg.Client({ connectionString: database.url });
    await slow.connect();
    await slow.query('BEGIN');
    await slow.query('UPDATE bus_lanes SET next_position = next_position + 1 RETURNING lane');
    await slow.query(
      `INSERT INTO bus_events (lane, position, game_id, player_id, message_id, body)
       SELECT lane, 1, 'demo', 'slow', 'slow', 'slow' FROM bus_lanes`,
    );
    let isPublished = false;
    const published = gateway.bus.publish(messages(64, 64)).then(() => (isPublished = true));
    await eventually('the gateway waits for the lanes', async () => {
      const rows = await database.db.query(
        'SELECT 1 FROM pg_stat_activity WHERE wait_event_type = $1 AND datname = current_database()',
        ['Lock'],
      );
      return rows.length === 1;
    });
    expect(isPublished).toBe(false);
    expect(await waitingOf(reader.bus)).toBe(0);
    await slow.query('COMMIT');
    await slow.end();
    await published;
    await settled(reader.bus);
    expect(seen).toHaveLength(32 + 64);
    for (const places of positions(seen).values()) expect(places).toEqual(places.map((_, n) => n + 1));
  });

  test('two workers share the lanes of a role, a third takes its part and gives it back by leaving', async () => {
    const held = async (): Promise<number[]> => {
      const rows = await database.db.query<{ lanes: number }>(
        `SELECT count(*) AS lanes FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND objsubid = 2
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY pid ORDER BY 1`,
      );
      return rows.map(({ lanes }) => lanes);
    };
    const shared = (expected: number[]): Promise<void> =>
      eventually(
        `lanes are held ${expected.join(', ')}`,
        async () => (await held()).join() === expected.join(),
      );
    const workers = [start(), start(), start()];
    const handler = async (batch: readonly Delivery[]): Promise<(typeof ok)[]> => batch.map(() => ok);
    await workers[0]?.bus.subscribe('archive', handler);
    await shared([32]);
    await workers[1]?.bus.subscribe('archive', handler);
    await shared([16, 16]);
    const third = await workers[2]?.bus.subscribe('archive', handler);
    await shared([10, 11, 11]);
    await third?.close();
    await shared([16, 16]);
  });

  test('while two workers share a role under load every event is settled and cursors never go back', async () => {
    const [gateway, ...workers] = [start(), start(), start()];
    const seen = new Set<string>();
    for (const { bus } of workers) {
      await bus.subscribe('archive', async (batch) => {
        for (const { messageId } of batch) seen.add(messageId);
        return batch.map(() => ok);
      });
    }
    if (gateway === undefined) throw new Error('no gateway');
    for (let n = 0; n < 30; n += 1) await gateway.bus.publish(messages(100, 60));
    await settled(gateway.bus);
    expect(seen.size).toBe(3_000);
  });

  test('a player with a long backlog gets what the others leave of a batch', async () => {
    const { bus } = start({ batchMax: 100 });
    await bus.publish(messages(300, 1));
    await bus.publish(messages(10, 10));
    const sizes: number[] = [];
    await bus.subscribe('archive', async (batch) => {
      sizes.push(batch.length);
      return batch.map(() => ok);
    });
    await settled(bus);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(100);
    expect(sizes.length).toBeLessThan(8);
  });

  test('callers beyond the bounded queue are refused, all others are committed', async () => {
    const { bus } = start({ queueMax: 10 });
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => bus.publish(messages(1, 1))));
    const refused = results.filter((result) => result.status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const { reason } of refused) expect(reason).toBeInstanceOf(OutageError);
    expect(await waitingOf(bus)).toBe(50 - refused.length);
  });

  test('a caller of a hanging flush is answered in time and what it sent is not torn', async () => {
    const { bus } = start({ publishTimeoutMs: 50 });
    const blocker = new pg.Client({ connectionString: database.url });
    await blocker.connect();
    await blocker.query('BEGIN');
    await blocker.query('SELECT * FROM bus_lanes FOR UPDATE');
    const calls = await Promise.allSettled([bus.publish(messages(3, 3)), bus.publish(messages(3, 3))]);
    expect(calls.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await blocker.query('ROLLBACK');
    await blocker.end();
    await eventually('the flush ended', async () => (await waitingOf(bus)) === 3);
    await bus.publish(messages(1, 1));
    expect(await waitingOf(bus)).toBe(4);
  });

  test('what every role has read is deleted after the margin, and only when every role has come', async () => {
    const { bus } = start();
    const stored = async (): Promise<number> =>
      (await database.db.query<{ n: number }>('SELECT count(*) AS n FROM bus_events'))[0]?.n ?? -1;
    const read = async (role: 'archive' | 'fairness'): Promise<void> => {
      const subscription = await bus.subscribe(role, async (batch) => batch.map(() => ok));
      await eventually('read', async () => {
        const cursors = await database.db.query('SELECT 1 FROM bus_cursors WHERE role = $1', [role]);
        return cursors.length === 32 && (await bus.lag(role)).waiting === 0;
      });
      await subscription.close();
    };
    await bus.publish(messages(64, 64));
    await read('archive');
    await trimLog(database.db, ['archive', 'fairness'], 0, 100);
    expect(await stored()).toBe(64);
    await read('fairness');
    await bus.publish(messages(5, 5));
    await trimLog(database.db, ['archive', 'fairness'], 3_600_000, 100);
    expect(await stored()).toBe(69);
    // What is not read stays, and the newest of each lane.
    const [kept] = await database.db.query<{ n: number }>(
      `SELECT sum(greatest(1, l.next_position - 1 - c.position)) AS n
         FROM bus_lanes l JOIN bus_cursors c ON c.lane = l.lane AND c.role = 'archive' WHERE l.next_position > 1`,
    );
    await trimLog(database.db, ['archive', 'fairness'], 0, 1);
    expect(await stored()).toBeGreaterThan(kept?.n ?? 0);
    for (let n = 0; n < 64; n += 1) await trimLog(database.db, ['archive', 'fairness'], 0, 1);
    expect(await stored()).toBe(kept?.n);
    expect(await rolesWithUnread(database.db)).toEqual([
      { role: 'archive', waiting: 5 },
      { role: 'fairness', waiting: 5 },
    ]);
    // A role that comes only now begins where the log begins.
    expect((await bus.lag('leaderboard')).waiting).toBe(kept?.n);
    await read('archive');
    expect(await rolesWithUnread(database.db)).toEqual([{ role: 'fairness', waiting: 5 }]);
  });
});
