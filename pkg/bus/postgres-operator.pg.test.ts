import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { ROLES } from '../kernel/roles.js';
import { Bench, drained, eachOwnPlayer, numbered, receive } from '../testkit/bus-bench.js';
import { eventually } from '../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import type { Bus } from './port.js';
import { createPostgresOperator } from './postgres-operator.js';
import { createPostgresBus } from './postgres.js';
import { keepMembersOut, openLease } from './postgres-lease.js';
import { trimLog } from './postgres-log.js';
import { holdPublisher, noteDrained, noteInUse, type BusUse } from './uses.postgres.js';

let server: TestDatabase;
let bus: Bus;
beforeEach(async () => {
  server = await testDatabase();
  bus = createPostgresBus({
    ...new Bench().settings,
    db: server.db,
    url: server.url,
    backoff: { baseMs: 1, capMs: 5 },
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
  });
});
afterEach(async () => {
  await bus.close();
  await server.close();
});

const operator = () => createPostgresOperator({ db: server.db });

test('the postgres bus is made by the schema', async () => {
  expect(await operator().check()).toEqual([
    { resource: 'the log', setting: 'lanes', expected: '32', found: '32', isRight: true },
  ]);
  expect(await operator().create()).toEqual([{ resource: 'the log', result: 'was_right' }]);
});

test('after a rewind a role reads again what was published since the instant, and other roles do not', async () => {
  await bus.publish(numbered(20, eachOwnPlayer));
  await server.db.query("UPDATE bus_events SET published_at = now() - interval '1 minute'");
  await bus.publish(numbered(30, eachOwnPlayer));
  for (const role of ['archive', 'fairness'] as const) {
    const got = await receive(bus, role);
    await drained(bus, role);
    await got.close();
  }
  const toMs = Date.now() - 30_000;
  await eventually('the members are gone', async () => {
    const [row] = await server.db.query<{ held: number }>(
      "SELECT count(*) AS held FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    return row?.held === 0;
  });
  const [rewound] = (await operator().rewind?.(toMs, ['archive'])) ?? [];
  expect(rewound).toMatchObject({ role: 'archive', messages: 30 });
  expect((await bus.lag('archive')).waiting).toBe(30);
  expect((await bus.lag('fairness')).waiting).toBe(0);
  const again = await receive(bus, 'archive');
  await drained(bus, 'archive');
  expect(again.deliveries).toHaveLength(30);
});

test('a role that somebody runs is not rewound', async () => {
  await bus.publish(numbered(3));
  await receive(bus, 'archive');
  await drained(bus, 'archive');
  await expect(operator().rewind?.(0, ['archive'])).rejects.toMatchObject({ code: 'roles_running' });
});

test('an instant before what the log still has is refused', async () => {
  await bus.publish(numbered(2));
  await bus.publish(numbered(2));
  for (const role of ROLES) {
    const got = await receive(bus, role);
    await drained(bus, role);
    await got.close();
  }
  // All but the newest of each lane goes, so that it is known since when nothing is missing.
  expect(await trimLog(server.db, ROLES, -1_000, 100)).toBe(3);
  await expect(operator().rewind?.(0, ['archive'])).rejects.toMatchObject({ code: 'not_kept' });
});

const POSTGRES = { driver: 'postgres', name: '' };
const KAFKA = { driver: 'kafka', name: 'game-events' };

test('another bus is used only when every role has read the postgres bus', async () => {
  await noteInUse(server.db, POSTGRES);
  const got = await receive(bus, 'archive');
  await bus.publish(numbered(1));
  await drained(bus, 'archive');
  await got.close();
  await bus.publish(numbered(1));
  for (const next of [KAFKA, null])
    await expect(noteInUse(server.db, next)).rejects.toMatchObject({ code: 'events_unread' });
  await server.db.query(
    'UPDATE bus_cursors c SET position = l.next_position - 1 FROM bus_lanes l WHERE l.lane = c.lane',
  );
  await noteInUse(server.db, KAFKA);
});

test('a broker is left only after somebody saw it drained, and may be gone back to', async () => {
  await noteInUse(server.db, KAFKA);
  await noteInUse(server.db, KAFKA);
  await expect(noteInUse(server.db, POSTGRES)).rejects.toMatchObject({ code: 'bus_not_drained' });
  await expect(noteInUse(server.db, { ...KAFKA, name: 'other' })).rejects.toMatchObject({
    code: 'bus_not_drained',
  });
  await noteDrained(server.db, KAFKA);
  await noteInUse(server.db, POSTGRES);
  await noteInUse(server.db, KAFKA);
});

const publisher = (use: BusUse, onRefused: (error: Error) => void = () => undefined) =>
  holdPublisher(use, { db: server.db, url: server.url, clock: systemClock, logger: quietLogger, onRefused });

test('as long as a gateway publishes to a bus it is not drained, and no process begins with another', async () => {
  for (const [own, other] of [
    [POSTGRES, KAFKA],
    [KAFKA, POSTGRES],
  ] as const) {
    const gateway = await publisher(own);
    await expect(noteInUse(server.db, other)).rejects.toMatchObject({ code: 'bus_published' });
    await expect(noteDrained(server.db, own)).rejects.toMatchObject({ code: 'bus_published' });
    await noteInUse(server.db, own); // a worker of the same bus
    await gateway.close();
    await eventually('the gateway is gone', async () =>
      noteDrained(server.db, own).then(
        () => true,
        () => false,
      ),
    );
  }
  await noteInUse(server.db, KAFKA);
});

test('of two gateways that start at the same moment with different buses at most one publishes', async () => {
  const started = await Promise.allSettled([publisher(POSTGRES), publisher(KAFKA)]);
  const running = started.filter((one) => one.status === 'fulfilled');
  expect(running.length).toBeLessThan(2);
  for (const { value } of running) await value.close();
});

test('what came to the postgres bus after it was noted as drained keeps other buses away', async () => {
  await noteInUse(server.db, POSTGRES);
  await (await receive(bus, 'archive')).close();
  await noteInUse(server.db, KAFKA);
  await noteDrained(server.db, KAFKA);
  await bus.publish(numbered(1));
  await expect(noteInUse(server.db, KAFKA)).rejects.toMatchObject({ code: 'events_unread' });
});

test('a gateway whose session was lost is told when another bus was begun with meanwhile', async () => {
  let refused: Error | null = null;
  const gateway = await publisher(KAFKA, (error) => (refused = error));
  // The interleaving: its session ends, and before it is opened again the bus is drained and another one used.
  await server.db.transaction(async (sql) => {
    await sql.query('SELECT pg_advisory_xact_lock(7041776)');
    await sql.query("UPDATE bus_uses SET state = 'drained'");
    await sql.query("INSERT INTO bus_uses (driver, name, state) VALUES ('sqs', 'game-events', 'in_use')");
    await sql.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fairtally publisher' AND datname = current_database()",
    );
  });
  await eventually('it is told', () => refused !== null);
  expect(refused).toMatchObject({ code: 'bus_not_drained' });
  await gateway.close();
});

test('no member joins a role while it is rewound', async () => {
  let isIn = false;
  let joining: Promise<void> = Promise.resolve();
  await server.db.transaction(async (sql) => {
    expect(await keepMembersOut(sql, 'archive')).toBe(true);
    const lease = openLease({ url: server.url, role: 'archive', clock: systemClock, random: systemRandom });
    joining = lease.then(async (one) => {
      isIn = true;
      await one.close();
    });
    await eventually('it waits', async () => {
      const [row] = await server.db.query<{ waiting: number }>(
        "SELECT count(*) AS waiting FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
      );
      return row?.waiting === 1;
    });
    expect(isIn).toBe(false);
  });
  await joining;
});
