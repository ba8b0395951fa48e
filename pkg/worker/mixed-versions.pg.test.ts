import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BatchHandler } from '../bus/port.js';
import type { Database } from '../postgres/port.js';
import { countersOf, drive, lettersOf, prepare, said, batchOf, worker } from '../testkit/dispatch-bench.js';
import { goldenBodies, ofALaterBuild } from '../testkit/golden.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { readSums } from '../testkit/summing-role.js';
import { consumeBatch } from './resubmissions/consume.js';
import { consumer, redriveAll } from './resubmissions/fixtures.js';

const golden = goldenBodies(1);

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepare(db);
  await db.query(
    `INSERT INTO games (game_id, dedupe_floor, session_master_id, session_master) VALUES ('other', '2026-01-01', 'm1', '')`,
  );
  await db.query(`UPDATE games SET dedupe_floor = '1970-01-01'`);
});
afterEach(() => database.close());

const inboxRows = (): Promise<object[]> => db.query('SELECT 1 FROM inbox');

test('row 76: old and new builds publish side by side: each event takes effect once, whichever build wrote it first', async () => {
  const later = golden.map(ofALaterBuild);
  const half = Math.floor(golden.length / 2);
  await drive(db, worker(db), [...golden.slice(0, half), ...later.slice(half)]);
  const sums = await readSums(db);
  await drive(db, worker(db), [...later, ...golden]);
  expect(await lettersOf(db)).toEqual([]);
  expect(await inboxRows()).toHaveLength(golden.length);
  expect(await readSums(db)).toBe(sums);
  expect(await countersOf(db)).toMatchObject({
    applied: golden.length,
    duplicate: 2 * golden.length,
    conflict: 0,
    dead: 0,
  });
});

/** As the next build would write it: another envelope, the same event inside. */
const asVersion2 = (body: string): string =>
  JSON.stringify({ v: 2, meta: 'new', event: JSON.parse(body) as unknown });

/** The next build: reads both envelopes, and does with the event what this one does. */
const upgraded =
  (handler: BatchHandler): BatchHandler =>
  (batch) =>
    handler(
      batch.map((delivery) => {
        const { v, event } = JSON.parse(delivery.body) as { v: number; event?: unknown };
        return { ...delivery, body: v === 2 ? JSON.stringify(event) : delivery.body };
      }),
    );

test('row 76: after a rollback messages of the later build are letters, whole, and hold nobody up; redriven after the upgrade they take effect once', async () => {
  const [first = '', ...others] = golden;
  await drive(db, worker(db), [asVersion2(first), ...others]);
  expect(await lettersOf(db)).toMatchObject([{ reason: 'unknown_version', state: 'open', attempts: 1 }]);
  expect(await inboxRows()).toHaveLength(others.length);
  const [letter] = await db.query<{ body: string }>('SELECT body FROM dead_letters');
  expect(letter?.body).toBe(asVersion2(first));

  // Redriven too early it is the same letter again.
  const { signal } = new AbortController();
  await redriveAll(db);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toEqual({ done: 0, skipped: 0, failed: 1 });
  expect(await lettersOf(db)).toMatchObject([{ reason: 'unknown_version', state: 'open', attempts: 2 }]);

  const newBuild = upgraded(worker(db));
  await redriveAll(db);
  expect(await consumeBatch(consumer(db, newBuild), signal)).toEqual({ done: 1, skipped: 0, failed: 0 });
  expect(await lettersOf(db)).toMatchObject([{ state: 'applied' }]);
  expect(await inboxRows()).toHaveLength(golden.length);
  await drive(db, newBuild, [asVersion2(first), first]);
  expect(await countersOf(db)).toMatchObject({ applied: golden.length, duplicate: 2, conflict: 0, dead: 2 });
});

test('row 76: a later envelope is one event given up, not its batch', async () => {
  const [first = '', second = ''] = golden;
  expect(said(await worker(db)(batchOf([first, asVersion2(first), second])))).toEqual([
    'ok',
    'unknown_version',
    'ok',
  ]);
});
