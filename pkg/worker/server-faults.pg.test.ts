import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import { isHeldUp } from '../kernel/outcome.js';
import { createDatabase } from '../postgres/database.js';
import type { Database } from '../postgres/port.js';
import {
  batchOf,
  countersOf,
  drive,
  lettersOf,
  prepare,
  said,
  worker,
  xp,
} from '../testkit/dispatch-bench.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { readSums } from '../testkit/summing-role.js';

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepare(db);
});
afterEach(() => database.close());

/** Saving one of these players fails as if the server had ended the statement. */
const timeOutFor = (players: string): Promise<object[]> =>
  db.query(`DO $do$ BEGIN
    CREATE OR REPLACE FUNCTION out_of_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF NEW.player_id IN (${players}) THEN
        RAISE EXCEPTION 'canceling statement due to statement timeout' USING ERRCODE = '57014';
      END IF;
      RETURN NEW;
    END $$;
    CREATE OR REPLACE TRIGGER out_of_time BEFORE UPDATE ON sums FOR EACH ROW EXECUTE FUNCTION out_of_time();
  END $do$`);

test('an event whose statement is always out of time waits; its neighbours take effect; nothing is a letter', async () => {
  await timeOutFor("'slow'");
  const events = Array.from({ length: 20 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n % 2)}`, 1));
  events.splice(7, 0, xp('s-1', 'slow', 1), xp('s-2', 'slow', 2));
  for (const _ of ['once', 'again']) {
    const outcomes = await worker(db)(batchOf(events));
    expect(outcomes.map(isHeldUp)).toEqual(events.map(({ playerId }) => playerId === 'slow'));
  }
  expect(await readSums(db)).toBe('p-0=10/10 p-1=10/10');
  expect(await lettersOf(db)).toEqual([]);
  await timeOutFor("'nobody'");
  await drive(db, worker(db), events);
  expect(await readSums(db)).toBe('p-0=10/10 p-1=10/10 slow=3/2');
  expect(await lettersOf(db)).toEqual([]);
  expect(await countersOf(db)).toMatchObject({ applied: 22, dead: 0 });
});

test('a server that is out of time for everyone is not asked event by event', async () => {
  let tries = 0;
  const whenLocked = async (): Promise<void> => {
    tries += 1;
  };
  await timeOutFor('NEW.player_id');
  const events = Array.from({ length: 64 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n)}`, 1));
  await expect(worker(db, { whenLocked })(batchOf(events))).rejects.toBeInstanceOf(OutageError);
  expect(tries).toBe(10); // 64, 32, 16, 8, 4, 2, 1, 1, then 2, 1
  expect(await lettersOf(db)).toEqual([]);
});

test('a table locked for longer than every try is waited for, and the event takes effect afterwards', async () => {
  const impatient = createDatabase({ url: database.url, lockTimeoutMs: 20 });
  const handler = worker(impatient);
  const event = xp('late', 'p-1', 5);
  await drive(db, handler, [xp('warm', 'p-1', 1)]);
  await db.transaction(async (sql) => {
    await sql.query('LOCK TABLE sums IN SHARE MODE');
    await expect(handler(batchOf([event]))).rejects.toBeInstanceOf(OutageError);
  });
  expect(await lettersOf(db)).toEqual([]);
  await drive(db, handler, [event]);
  expect(await readSums(db)).toBe('p-1=6/2');
  expect(await lettersOf(db)).toEqual([]);
  await impatient.close();
});

test.each([
  ['a table is away', 'ALTER TABLE sums RENAME TO sums_away', 'ALTER TABLE sums_away RENAME TO sums'],
  ['the inbox is away', 'ALTER TABLE inbox RENAME TO inbox_away', 'ALTER TABLE inbox_away RENAME TO inbox'],
  ['the games are away', 'ALTER TABLE games RENAME TO games_away', 'ALTER TABLE games_away RENAME TO games'],
  [
    'a column is away',
    'ALTER TABLE sums RENAME COLUMN xp TO points',
    'ALTER TABLE sums RENAME COLUMN points TO xp',
  ],
])('while %s the role waits, and the event takes effect afterwards', async (_, away, back) => {
  const handler = worker(db);
  const event = xp('late', 'p-1', 5);
  await db.query(away);
  for (let tries = 0; tries < 3; tries += 1)
    await expect(handler(batchOf([event]))).rejects.toBeInstanceOf(OutageError);
  await db.query(back);
  expect(said(await handler(batchOf([event])))).toEqual(['ok']);
  expect(await readSums(db)).toBe('p-1=5/1');
  expect(await lettersOf(db)).toEqual([]);
});

test('what the server refuses for its own reasons is an outage; what the values cause is theirs', async () => {
  const raise = (state: string): Promise<object[]> =>
    db.query(`DO $$ BEGIN RAISE EXCEPTION 'it fails' USING ERRCODE = '${state}'; END $$`);
  for (const state of [
    '08006',
    '0A000',
    '25006',
    '26000',
    '28P01',
    '3D000',
    '42P01',
    '42501',
    '53100',
    '53300',
  ])
    await expect(raise(state)).rejects.toBeInstanceOf(OutageError);
  for (const state of ['40002', '55006', '57014', '57P01', '58030', 'XX000', 'XX001', 'P0001', 'HV000'])
    await expect(raise(state)).rejects.toBeInstanceOf(OutageError);
  for (const state of ['22003', '22P02', '23505', '23514', '54000', '40001', '40P01', '55P03'])
    await expect(raise(state)).rejects.toMatchObject({ code: state });
  const url = new URL(database.url);
  url.username = 'nobody-known';
  const stranger = createDatabase({ url: url.toString() });
  await expect(stranger.query('SELECT 1')).rejects.toBeInstanceOf(OutageError);
  await stranger.close();
});
