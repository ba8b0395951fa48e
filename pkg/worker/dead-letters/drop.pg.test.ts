import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { BatchHandler, Delivery } from '../../bus/port.js';
import { encodeEvent } from '../../contract/event.js';
import type { Database } from '../../postgres/port.js';
import {
  countersOf,
  deliverAll,
  deliveryOf,
  drive,
  lettersOf,
  prepare,
  worker,
  xp,
} from '../../testkit/dispatch-bench.js';
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
  expect(await dropJob({ filter: {}, decision: WHY }, { db })).toMatchObject({
    looked: 1,
    dropped: 1,
    applied: 0,
  });
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
  expect(await dropJob({ filter: {}, decision: WHY }, { db })).toMatchObject({
    looked: 1,
    dropped: 0,
    applied: 1,
  });
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
  const drop = { isOnItsWayToo: false, actionId: action, decision: WHY };
  const results = await Promise.all([
    dropLetters(db, { ...drop, ids }),
    dropLetters(db, { ...drop, ids: [...ids].reverse(), decision: { ...WHY, actor: 'bob' } }),
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
    dropping = dropLetters(db, { ids, isOnItsWayToo: false, actionId: action, decision: WHY });
    await patiently('it waits', async () => {
      const waiting = await db.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
  });
  expect(await dropping).toEqual({ dropped: 0, applied: 0, kept: 0 });
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ done: 1 });
  expect(await readSums(db)).toBe('p-1=5/1');
});

test('what is on its way again is dropped by its id, not by filters; the worker that has it in hand finds it barred', async () => {
  await dieAll(db, [xp('a', 'p-1', 5), xp('b', 'p-2', 7)]);
  await redriveAll(db);
  const [first] = await idsOf(db);
  expect(await dropJob({ filter: { role: 'progression' }, decision: WHY }, { db })).toMatchObject({
    looked: 0,
  });
  const dropsMeanwhile: BatchHandler = async (batch) => {
    const job = { filter: { ids: [first!] }, decision: WHY };
    expect(await dropJob(job, { db })).toMatchObject({ dropped: 1 });
    return worker(db)(batch);
  };
  await consumeBatch(consumer(db, dropsMeanwhile), signal);
  expect(await readSums(db)).toBe('p-2=7/1');
  expect((await lettersOf(db)).map(({ state }) => state)).toEqual(['dropped', 'applied']);
  expect(await db.query('SELECT state FROM resubmissions ORDER BY id')).toEqual([
    { state: 'skipped' },
    { state: 'done' },
  ]);
});

test('two messages that cannot be read are two letters, also in one place; one of them again is one attempt more', async () => {
  const later = (id: string): Delivery => {
    const body = JSON.stringify({ ...(JSON.parse(encodeEvent(xp(id, 'p-1', 5))) as object), v: 99 });
    return { ...deliveryOf(body), position: '3/17' };
  };
  await deliverAll(db, worker(db), [later('a')]);
  await dropJob({ filter: {}, decision: WHY }, { db });
  await deliverAll(db, worker(db), [later('b')]);
  await deliverAll(db, worker(db), [later('b')]);
  expect(await lettersOf(db)).toMatchObject([
    { reason: 'unknown_version', state: 'dropped', attempts: 1 },
    { reason: 'unknown_version', state: 'open', attempts: 2 },
  ]);
});
