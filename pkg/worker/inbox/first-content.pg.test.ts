import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { OutageError } from '../../kernel/errors.js';
import type { Database } from '../../postgres/port.js';
import { batchOf, countersOf, drive, lettersOf, prepare, worker, xp } from '../../testkit/dispatch-bench.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { readSums } from '../../testkit/summing-role.js';
import { dropJob } from '../dead-letters/jobs.js';
import { recordAction } from '../dead-letters/queries.postgres.js';
import { consumeBatch } from '../resubmissions/consume.js';
import { consumer, dieAll, idsOf, WHY } from '../resubmissions/fixtures.js';
import { redriveLetters } from '../resubmissions/postgres.js';

/** The first content of an id decides for all roles, also in the one in which it died. */

const signal = new AbortController().signal;
const [first, second] = [xp('same', 'p-1', 10), xp('same', 'p-1', 99)];

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepare(db);
});
afterEach(() => database.close());

const letters = async (): Promise<string[]> =>
  (await lettersOf(db)).map(({ reason, state }) => `${reason} ${state}`);

const redrive = async (id: number): Promise<number> =>
  redriveLetters(db, [id], await recordAction(db, 'redrive', WHY, {}));

test('row 14: the second content under an id is a conflict also where the first one died, however often it comes', async () => {
  await dieAll(db, [first]);
  await drive(db, worker(db), [second]);
  await drive(db, worker(db), [second, xp('other', 'p-1', 1)]);
  expect(await readSums(db)).toBe('p-1=1/1');
  expect(await letters()).toEqual(['xp_overflow open', 'event_id_conflict open']);
  expect(await countersOf(db)).toEqual({ delivered: 4, applied: 1, duplicate: 0, conflict: 2, dead: 1 });
});

test('row 14: in one batch the second content waits until the letter of the first is written', async () => {
  const poison = xp('same', 'p-1', 10, { fault: 'poison' });
  const outcomes = await worker(db)(batchOf([poison, second, xp('other', 'p-1', 1)]));
  expect(outcomes).toEqual([
    expect.objectContaining({ kind: 'dead', reason: 'xp_overflow' }),
    { kind: 'retry', error: expect.any(OutageError) },
    { kind: 'ok' },
  ]);
  await drive(db, worker(db), [poison, second]);
  expect(await readSums(db)).toBe('p-1=1/1');
  expect(await letters()).toEqual(['xp_overflow open', 'event_id_conflict open']);
});

test.each([
  ['the first before the second', [0, 1]],
  ['the second before the first', [1, 0]],
])('row 14: when both contents are sent again, %s, the first takes effect', async (_order, order) => {
  await dieAll(db, [first]);
  await drive(db, worker(db), [second]);
  const ids = await idsOf(db);
  for (const n of order) expect(await redrive(ids[n] ?? 0)).toBe(1);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toEqual({ done: 1, skipped: 0, failed: 1 });
  expect(await readSums(db)).toBe('p-1=10/1');
  expect(await letters()).toEqual(['xp_overflow applied', 'event_id_conflict open']);
});

test('row 14: when the first is dropped where the archive has neither, the second may be sent again and takes effect', async () => {
  await dieAll(db, [first]);
  await drive(db, worker(db), [second]);
  const [one = 0, other = 0] = await idsOf(db);
  expect(await dropJob({ filter: { ids: [one] }, decision: WHY }, { db })).toMatchObject({ dropped: 1 });
  expect(await redrive(other)).toBe(1);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ done: 1 });
  expect(await readSums(db)).toBe('p-1=99/1');
  await drive(db, worker(db), [first]);
  expect(await readSums(db)).toBe('p-1=99/1');
});

test('row 14: of two contents that both died the one that died first takes effect, whichever comes first again', async () => {
  await dieAll(db, [first, second]);
  await drive(db, worker(db), [second]);
  await drive(db, worker(db), [first]);
  expect(await readSums(db)).toBe('p-1=10/1');
  expect(await letters()).toEqual(['xp_overflow applied', 'event_id_conflict open']);
});
