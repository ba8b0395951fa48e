import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { contentHashOf } from '../contract/identity.js';
import type { JsonObject } from '../contract/event.js';
import type { Sql } from '../postgres/port.js';
import { roleEvent, TEST_TS_MS } from '../testkit/admitted-event.js';
import { testDefinition } from '../testkit/definition.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import type { RoleEvent } from '../worker/port.js';
import { archiveRole } from './role.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await database.db.query('SELECT ensure_month($1)', ['2026-11-20']);
});
afterAll(() => database.close());

const definition = testDefinition();

async function apply(sql: Sql, events: readonly RoleEvent[]): Promise<void> {
  await archiveRole.save(sql, archiveRole.fold(await archiveRole.load(sql, events), events));
}

const oddPayloads: readonly JsonObject[] = [
  {},
  {
    a: 0.1,
    b: 1e21,
    c: 5e-324,
    d: 1.7976931348623157e308,
    e: -0,
    f: 1e-7,
    g: 9007199254740991,
    h: 123456789012345680000,
  },
  { b: 1, a: 2, '': 3, é: 4, 'e\u0301': 5, '\u{1f600}': 6, '\ufb33': 7, '10': 8, '9': 9 },
  {
    text: 'quotes " and \\ and {braces}, \n\t\u0007 \u2028 \u{1f469}\u200d\u{1f680} \u202e',
    empty: '',
    NULL: null,
  },
  { deep: [[[{ a: [1, 'x', null, true, { z: 1, y: [] }] }]]], list: [3, 1, 2] },
  JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}') as JsonObject,
];

test('a payload comes back with the content hash it was admitted with', async () => {
  const events = oddPayloads.map((payload, index) =>
    roleEvent(definition, { id: `odd-${String(index)}`, playerId: 'odd', payload }),
  );
  await database.db.transaction((sql) => apply(sql, events));
  const rows = await database.db.query<{ event_id: string; hash: string; payload: JsonObject }>(
    `SELECT event_id, encode(content_hash, 'hex') AS hash, payload FROM events WHERE player_id = 'odd' ORDER BY event_id`,
  );
  expect(rows.map((row) => row.event_id)).toEqual(events.map(({ event }) => event.id));
  rows.forEach((row, index) => {
    expect(row.hash).toBe(events[index]?.event.contentHash);
    const content = { type: 'progression', playerId: 'odd', tsMs: TEST_TS_MS, payload: row.payload };
    expect(contentHashOf(content)).toBe(row.hash);
  });
});

test('every field of an event is in its row, unmapped types included', async () => {
  const event = roleEvent(definition, {
    id: 'whole',
    playerId: 'p-\u{1f600} "x" {1}',
    type: 'new_type',
    mapped: false,
    src: 'client',
    schemaVersion: 3,
    context: { build: '1.2.3', traceparent: '00-1-2-01', late: true },
  });
  expect(archiveRole.takes(definition, 'new_type', false)).toBe(true);
  await database.db.transaction((sql) => apply(sql, [event]));
  const rows = await database.db.query(
    `SELECT game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id, definition_version, schema_version,
            dedupe_day, replace(identity::text, '-', '') AS identity, payload, context
       FROM events WHERE event_id = 'whole'`,
  );
  expect(rows).toEqual([
    {
      game_id: 'demo',
      player_id: 'p-\u{1f600} "x" {1}',
      event_id: 'whole',
      type: 'new_type',
      ts_ms: TEST_TS_MS,
      received_at_ms: TEST_TS_MS + 40,
      src: 'client',
      key_id: 'demo',
      definition_version: 1,
      schema_version: 3,
      dedupe_day: '2026-11-20',
      identity: event.event.identity,
      payload: { deltaXp: 10, activity: 'quest' },
      context: { build: '1.2.3', traceparent: '00-1-2-01', late: true, mapped: false },
    },
  ]);
});

test('two transactions that meet on a new player both count', async () => {
  const { db } = database;
  const of = (id: string, tsMs: number): RoleEvent[] => [
    roleEvent(definition, { id, playerId: 'met', tsMs }),
  ];
  let second: Promise<void> | undefined;
  await db.transaction(async (sql) => {
    await apply(sql, of('one', TEST_TS_MS));
    second = db.transaction((other) => apply(other, of('two', TEST_TS_MS - 5)));
    await untilSomeoneWaits();
  });
  await second;
  expect(
    await db.query("SELECT first_seen_ms, last_seen_ms, events FROM player_profiles WHERE player_id = 'met'"),
  ).toEqual([{ first_seen_ms: TEST_TS_MS - 5, last_seen_ms: TEST_TS_MS, events: 2 }]);
});

async function untilSomeoneWaits(): Promise<void> {
  const waiting =
    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  while ((await database.db.query(waiting)).length === 0) continue;
}

test('an empty batch runs no statement', async () => {
  const never: Sql = { query: () => Promise.reject(new Error('a statement ran')) };
  await apply(never, []);
});
