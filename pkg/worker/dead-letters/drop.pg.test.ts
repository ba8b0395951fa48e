import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Database } from '../../postgres/port.js';
import { countersOf, drive, lettersOf, prepare, worker, xp } from '../../testkit/dispatch-bench.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { readSums } from '../../testkit/summing-role.js';
import { consumeBatch } from '../resubmissions/consume.js';
import { consumer, dieAll, idsOf, patiently, redriveAll, WHY } from '../resubmissions/fixtures.js';
import { redriveLetters } from '../resubmissions/postgres.js';
import { dropLetters } from './decisions.postgres.js';
import { dropJob } from './jobs.js';
import { recordAction } from './queries.postgres.js';

const signal = new AbortController().signal;

/** Real transactions by the thousand, on a machine that may be busy. */
jest.setTimeout(180_000);

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepare(db);
});
afterEach(() => database.close());

test('a dropped event is a duplicate of nothing when it comes again, and stays dropped', async () => {
  const event = xp('a', 'p-1', 5);
  await dieAll(db, [event]);
  expect(await dropJob({ filter: {}, decision: WHY }, { db })).toEqual({ looked: 1, dropped: 1, applied: 0 });
  await drive(db, worker(db), [event]);
  expect(await readSums(db)).toBe('');
  expect(await lettersOf(db)).toMatchObject([{ state: 'dropped', attempts: 1 }]);
  expect(await countersOf(db)).toMatchObject({ applied: 0, duplicate: 1 });
  const action = await recordAction(db, 'redrive', WHY, {});
  expect(await redriveLetters(db, await idsOf(db), action)).toBe(0);
});

test('dropping a letter of an event that took effect closes it as applied, and bars nothing', async () => {
  const event = xp('a', 'p-1', 5);
  await dieAll(db, [event]);
  await drive(db, worker(db), [event]);
  await db.query("UPDATE dead_letters SET state = 'open'");
  expect(await dropJob({ filter: {}, decision: WHY }, { db })).toEqual({ looked: 1, dropped: 0, applied: 1 });
  expect(await db.query('SELECT definition_version AS v FROM inbox')).toEqual([{ v: 1 }]);
});

test('one content that is dropped does not bar another that waits under the same identity', async () => {
  const [one, other] = [xp('same', 'p-1', 10), xp('same', 'p-1', 99)];
  await dieAll(db, [one, other]);
  const [, second] = await idsOf(db);
  expect(await dropJob({ filter: { ids: [second!] }, decision: WHY }, { db })).toMatchObject({ dropped: 1 });
  await redriveAll(db);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ done: 1 });
  expect(await readSums(db)).toBe('p-1=10/1');
});

test('two operators drop the same letters at once, in opposite orders: each is dropped once', async () => {
  await dieAll(
    db,
    Array.from({ length: 60 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n)}`, 1)),
  );
  const ids = await idsOf(db);
  const action = await recordAction(db, 'drop', WHY, {});
  const results = await Promise.all([
    dropLetters(db, ids, action, WHY),
    dropLetters(db, [...ids].reverse(), action, { ...WHY, actor: 'bob' }),
  ]);
  expect(results[0].dropped + results[1].dropped).toBe(60);
  expect(await db.query('SELECT 1 FROM inbox WHERE definition_version = 0')).toHaveLength(60);
});

test('a letter that is redriven while it is being dropped keeps its way', async () => {
  await dieAll(db, [xp('a', 'p-1', 5)]);
  const ids = await idsOf(db);
  const action = await recordAction(db, 'drop', WHY, {});
  let dropping: Promise<object> | undefined;
  await db.transaction(async (sql) => {
    await redriveLetters(sql, ids, action);
    dropping = dropLetters(db, ids, action, WHY);
    await patiently('it waits', async () => {
      const waiting = await db.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
  });
  expect(await dropping).toEqual({ dropped: 0, applied: 0 });
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ done: 1 });
  expect(await readSums(db)).toBe('p-1=5/1');
});
