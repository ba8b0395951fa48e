import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BatchHandler, Delivery, Lag } from '../../bus/port.js';
import type { AdmittedEvent } from '../../contract/event.js';
import { OutageError } from '../../kernel/errors.js';
import { ok, retry } from '../../kernel/outcome.js';
import { testBoard } from '../../leaderboard/fixtures.js';
import { closeCycles } from '../../leaderboard/snapshots.js';
import { postgresSnapshots } from '../../leaderboard/snapshots.postgres.js';
import { createDatabase } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { systemClock } from '../../kernel/clock.js';
import { testDefinition } from '../../testkit/definition.js';
import {
  batchOf,
  countersOf,
  countingMetrics,
  deliverAll,
  drive,
  lettersOf,
  prepare,
  said,
  worker,
  xp,
} from '../../testkit/dispatch-bench.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { quietLogger, quietMetrics } from '../../testkit/quiet.js';
import { readSums } from '../../testkit/summing-role.js';
import { dropJob } from '../dead-letters/jobs.js';
import { consumeBatch } from './consume.js';
import { consumer, dieAll, idsOf, redriveAll, WHY } from './fixtures.js';
import { oldestAside, progressOf } from './postgres.js';
import { settingAside } from './set-aside.js';
import { unappliedOf } from './unapplied.js';

const signal = new AbortController().signal;

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepare(db);
});
afterEach(() => database.close());

/** What the server does when it ends a statement. */
const END_STATEMENT =
  "RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014'";

/** Saving one of these players takes longer than any worker waits. */
const slowDown = (players: readonly string[], slowly = END_STATEMENT): Promise<object[]> =>
  db.query(`DO $do$ BEGIN
    CREATE OR REPLACE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.player_id = ANY ('{${players.join()}}') THEN ${slowly}; END IF;
      RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER slowly BEFORE UPDATE ON sums FOR EACH ROW EXECUTE FUNCTION slowly();
  END $do$`);

const onBus = (handler: BatchHandler = worker(db), metrics = quietMetrics): BatchHandler =>
  settingAside(handler, { db, role: 'progression', logger: quietLogger, metrics });

const pending = async (): Promise<string[]> =>
  (
    await db.query<{ event: string }>(
      "SELECT body::jsonb ->> 'id' AS event FROM resubmissions WHERE state = 'pending' ORDER BY id",
    )
  ).map(({ event }) => event);

test('one slow event is taken off the bus: its neighbours and what comes after go on, and it takes effect when it can', async () => {
  await slowDown(['slow']);
  const { metrics, of } = countingMetrics();
  const handler = onBus(worker(db), metrics);
  const events = [
    xp('a-1', 'p-1', 1),
    xp('s-1', 'slow', 1),
    xp('a-2', 'p-2', 1),
    xp('s-2', 'slow', 2),
    xp('a-3', 'p-1', 1),
  ];
  expect(said(await handler(batchOf(events)))).toEqual(Array(5).fill('ok'));
  expect(await readSums(db)).toBe('p-1=2/2 p-2=1/1');
  expect(await pending()).toEqual(['s-1', 's-2']);
  expect(of('fairtally_events_set_aside_total')).toBe(2);
  expect(await oldestAside(db, 'progression')).toBe(events[1]?.receivedAtMs);

  // A later one goes behind them, without a try; what comes again is on its way already.
  await drive(db, handler, [xp('s-3', 'slow', 4), xp('a-4', 'p-2', 1), xp('s-1', 'slow', 1)]);
  expect(await readSums(db)).toBe('p-1=2/2 p-2=2/2');
  expect(await pending()).toEqual(['s-1', 's-2', 's-3']);

  await slowDown([]);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ done: 3, failed: 0 });
  expect(await readSums(db)).toBe('p-1=2/2 p-2=2/2 slow=7/3');
  expect(await oldestAside(db, 'progression')).toBeNull();
  expect(await lettersOf(db)).toEqual([]);
  expect(await countersOf(db)).toMatchObject({ applied: 7, dead: 0 });
  expect(said(await handler(batchOf([xp('s-4', 'slow', 1)])))).toEqual(['ok']);
  expect(await readSums(db)).toBe('p-1=2/2 p-2=2/2 slow=8/4');
});

test('a statement that sleeps for one player is ended by the server, and holds up nobody else', async () => {
  await slowDown(['slow'], 'PERFORM pg_sleep(60)');
  const hasty = createDatabase({ url: database.url, statementTimeoutMs: 2_000 });
  const handler = onBus(worker(hasty));
  expect(said(await handler(batchOf([xp('s-1', 'slow', 1), xp('a-1', 'p-1', 1)])))).toEqual(['ok', 'ok']);
  await hasty.close();
  expect(await readSums(db)).toBe('p-1=1/1');
  expect(await pending()).toEqual(['s-1']);
  expect(await lettersOf(db)).toEqual([]);
});

test('beside the bus slow players stop nobody either: others are closed first, each of them is tried alone', async () => {
  const players = ['slow-1', 'slow-2', 'slow-3'];
  await slowDown(players);
  for (const player of players) await drive(db, onBus(), [xp(`of ${player}`, player, 1)]);
  await dieAll(db, [xp('a', 'p-1', 5), xp('b', 'p-2', 7)]);
  await redriveAll(db);
  const slow = new Set<string>();
  const given: number[] = [];
  const inner = worker(db);
  const options = consumer(db, async (batch) => {
    given.push(batch.length);
    return inner(batch);
  });
  expect(await consumeBatch(options, signal, slow)).toEqual({ done: 2, skipped: 0, failed: 0 });
  expect(await consumeBatch(options, signal, slow)).toEqual({ done: 0, skipped: 0, failed: 0 });
  await slowDown([]);
  for (const _ of players)
    expect(await consumeBatch(options, signal, slow)).toEqual({ done: 1, skipped: 0, failed: 0 });
  expect(given).toEqual([2, 1, 1, 1, 1]);
  expect(await readSums(db)).toBe('p-1=5/1 p-2=7/1 slow-1=1/1 slow-2=1/1 slow-3=1/1');
  expect((await lettersOf(db)).map(({ state }) => state)).toEqual(['applied', 'applied']);
});

test('what cannot be set aside is not acknowledged, and what cannot be read becomes a letter whatever its player waits for', async () => {
  await slowDown(['p-1']);
  await drive(db, onBus(), [xp('s-1', 'p-1', 1)]);
  expect(await deliverAll(db, onBus(), batchOf(['{}', xp('s-2', 'p-1', 1)]))).toEqual([true, true]);
  expect((await lettersOf(db)).map(({ reason }) => reason)).toEqual(['unreadable']);
  expect(await pending()).toEqual(['s-1', 's-2']);

  await db.query('ALTER TABLE operator_actions RENAME TO away');
  const handler = onBus(async (batch) => batch.map(() => retry(new OutageError('PostgreSQL'))));
  await expect(handler(batchOf([xp('s-3', 'p-2', 1)]))).rejects.toBeInstanceOf(OutageError);
});

test('an outage that one event causes for its whole batch holds up no other: each player is tried alone then, and it can be dropped', async () => {
  const events = ['a', 'b', 'c', 'd'].map((id) => xp(id, `p-${id}`, 1));
  await dieAll(db, events);
  const action = await redriveAll(db);
  const isStuck = ({ body }: Delivery): boolean => (JSON.parse(body) as AdmittedEvent).id === 'b';
  const handler: BatchHandler = async (batch) => {
    await worker(db)(batch.filter((delivery) => !isStuck(delivery)));
    if (batch.some(isStuck)) throw new OutageError('a statement of this event');
    return batch.map(() => ok);
  };
  const slow = new Set<string>();
  const once = (): ReturnType<typeof consumeBatch> => consumeBatch(consumer(db, handler), signal, slow);
  expect(await once()).toEqual({ done: 0, skipped: 0, failed: 0 });
  for (let turn = 0; turn < events.length; turn += 1) await once();
  expect(await progressOf(db, action)).toMatchObject({ pending: 1 });
  expect(await readSums(db)).toBe('p-a=1/1 p-c=1/1 p-d=1/1');
  const [, stuck] = await idsOf(db);
  expect(await dropJob({ filter: { ids: [stuck!] }, decision: WHY }, { db })).toMatchObject({ dropped: 1 });
  expect(await progressOf(db, action)).toMatchObject({ pending: 0, failed: 0 });
  expect((await lettersOf(db)).map(({ state }) => state)).toEqual([
    'applied',
    'dropped',
    'applied',
    'applied',
  ]);
});

test('beside the bus a slow player of whom more wait than a batch holds stops nobody', async () => {
  await slowDown(['slow']);
  const events = Array.from({ length: 201 }, (_, n) => xp(`s-${String(n)}`, 'slow', 1));
  await dieAll(db, [...events, xp('a', 'p-1', 5)]);
  await redriveAll(db);
  const slow = new Set<string>();
  const options = consumer(db, worker(db));
  expect(await consumeBatch(options, signal, slow)).toMatchObject({ done: 0 });
  expect(await consumeBatch(options, signal, slow)).toMatchObject({ done: 1 });
  expect(await readSums(db)).toBe('p-1=5/1');
});

test('a season waits for what was set aside, also where a redrive carries it: it never closes before the event counts', async () => {
  const event = xp('s-1', 'slow', 1);
  await db.query(
    `INSERT INTO board_cycles (game_id, board, cycle, partition, closes_at, definition_version)
     VALUES ('demo', 'xp', 'daily:2026-11-20', '', to_timestamp($1::float8 / 1000), 1)`,
    [event.receivedAtMs + 1],
  );
  const onTheBus = [1];
  const lag = async (): Promise<Lag> =>
    onTheBus.length === 0
      ? { waiting: 0, oldestPublishedAtMs: null }
      : { waiting: onTheBus.length, oldestPublishedAtMs: event.receivedAtMs };
  // Of a board without windows: its cycle ends when the row above says so.
  const definition = {
    ...testDefinition(),
    graceMs: 0,
    boards: new Map([['xp', testBoard({ windows: [] })]]),
  };
  const close = (): Promise<number> =>
    closeCycles({
      store: postgresSnapshots(db),
      definitions: { inForce: async () => definition, version: async () => definition },
      roles: ['progression'],
      lag: (role) => unappliedOf(db, { lag }, role),
      clock: systemClock,
      log: quietLogger,
    });
  await slowDown(['slow']);
  await dieAll(db, [event]);
  await redriveAll(db); // on its way beside the bus, and the bus brings it once more
  expect(await close()).toBe(0);
  expect(said(await onBus()(batchOf([event, event])))).toEqual(['ok', 'ok']);
  onTheBus.pop(); // acknowledged
  expect(await pending()).toEqual(['s-1']);
  expect(await close()).toBe(0);

  await slowDown([]);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ done: 1, failed: 0 });
  expect(await close()).toBe(1);
  expect(await readSums(db)).toBe('slow=1/1');
});
