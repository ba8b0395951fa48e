import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { Bench, drained, eachOwnPlayer, numbered, receive } from '../testkit/bus-bench.js';
import { eventually } from '../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import type { Bus } from './port.js';
import { createPostgresOperator } from './postgres-operator.js';
import { createPostgresBus } from './postgres.js';
import { noteDrained, noteInUse } from './uses.postgres.js';

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
  await bus.publish(numbered(3));
  await bus.publish(numbered(3));
  await server.db.query('DELETE FROM bus_events WHERE position = 1');
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
