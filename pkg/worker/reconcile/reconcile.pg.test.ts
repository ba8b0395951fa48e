import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { auditGame } from '../../audit/audit.js';
import {
  applyToArchive,
  applyToRoles,
  auditParts,
  deliveryOf,
  handlersOf,
  playedEvents,
  prepareGame,
} from '../../audit/fixtures.js';
import { systemClock } from '../../kernel/clock.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { quietLogger } from '../../testkit/quiet.js';
import { dropJob } from '../dead-letters/jobs.js';
import { createDeadLetters } from '../dead-letters/postgres.js';
import { consumeBatch, consumeResubmissions } from '../resubmissions/consume.js';
import { consumer, patiently, WHY } from '../resubmissions/fixtures.js';
import { reconciledThrough } from './postgres.js';
import { reconcileByHand, reconcileStep, runReconciler, type ReconcilerOptions } from './reconcile.js';

const signal = new AbortController().signal;
const OTHERS = ROLES.filter((role) => role !== 'archive');
const HOUR_MS = 3_600_000;

/** Real transactions by the thousand, on a machine that may be busy. */
jest.setTimeout(180_000);

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepareGame(db);
});
afterEach(() => database.close());

const options = (role: RoleName, more: Partial<ReconcilerOptions> = {}): ReconcilerOptions => ({
  db,
  role,
  waitingSince: async () => null,
  clock: systemClock,
  logger: quietLogger,
  ageMs: 0,
  ...more,
});

/** Slices until there is nothing left to compare. @returns how many were submitted */
async function reconcile(role: RoleName, more: Partial<ReconcilerOptions> = {}): Promise<number> {
  let submitted = 0;
  for (let sliceMs = HOUR_MS; ;) {
    const step = await reconcileStep(options(role, more), sliceMs);
    submitted += step.submitted;
    if (step.isThrough) return submitted;
    ({ sliceMs } = step);
  }
}

/** As if what stands in the archive had been there for a while. */
const age = (interval: string): Promise<object[]> =>
  db.query(`UPDATE events SET archived_at = now() - interval '${interval}'`);

async function consumeAll(): Promise<void> {
  const handlers = handlersOf(db);
  for (const role of ROLES)
    while ((await consumeBatch(consumer(db, handlers[role], { role }), signal)).done > 0) continue;
}

const audit = async () => (await auditGame('demo', { db, ...auditParts })).differences;

test('row 35: what only the archive got is resubmitted to the other roles, and the season is exact', async () => {
  const events = playedEvents();
  await applyToRoles(db, events.slice(0, 40));
  await applyToArchive(db, events.slice(40));
  await age('1 hour');
  expect((await audit()).length).toBeGreaterThan(0);
  const stop = new AbortController();
  const handlers = handlersOf(db);
  const loops = OTHERS.flatMap((role) => [
    runReconciler(options(role), stop.signal),
    consumeResubmissions(consumer(db, handlers[role], { role }), stop.signal),
  ]);
  await patiently('every role has every event', async () => {
    const [row] = await db.query<{ count: number }>('SELECT count(*) AS count FROM inbox');
    return row?.count === ROLES.length * events.length;
  });
  await patiently('nothing is pending', async () => {
    return (await db.query("SELECT 1 FROM resubmissions WHERE state = 'pending'")).length === 0;
  });
  stop.abort();
  await Promise.all(loops);
  expect(await audit()).toEqual([]);
  const [made] = await db.query<{ count: number }>('SELECT count(*) AS count FROM resubmissions');
  expect(made?.count).toBe(OTHERS.length * (events.length - 40));
});

test('a pass that finds nothing submits nothing, and what was compared is not compared again', async () => {
  await applyToRoles(db, playedEvents());
  await age('1 hour');
  expect(await reconcile('fairness')).toBe(0);
  expect(await db.query('SELECT 1 FROM operator_actions')).toEqual([]);
  const through = await reconciledThrough(db, 'fairness');
  await db.query("DELETE FROM inbox WHERE role = 'fairness'");
  expect(await reconcile('fairness')).toBe(0);
  expect(await reconciledThrough(db, 'fairness')).toBeGreaterThanOrEqual(through ?? Infinity);
});

test('what was archived a moment ago, or waits on the bus, is on its way and left alone', async () => {
  await applyToArchive(db, playedEvents());
  expect(await reconcile('fairness', { ageMs: HOUR_MS })).toBe(0);
  await age('2 hours');
  await db.query('DELETE FROM reconciled');
  const nowMs = systemClock.now();
  expect(await reconcile('fairness', { ageMs: HOUR_MS, waitingSince: async () => nowMs - 3 * HOUR_MS })).toBe(
    0,
  );
  expect(await reconcile('fairness', { ageMs: HOUR_MS, waitingSince: async () => nowMs - HOUR_MS })).toBe(
    playedEvents().length,
  );
});

test('what is older than the window is left to whoever runs it by hand', async () => {
  await applyToArchive(db, playedEvents());
  await age('15 days');
  expect(await reconcile('fairness')).toBe(0);
  const command = { roles: OTHERS, sinceMs: 0, ageMs: 0, decision: WHY };
  const counts = OTHERS.map((role): [RoleName, number] => [role, playedEvents().length]);
  const planned = await reconcileByHand({ ...command, isDryRun: true }, { db, clock: systemClock });
  expect([...planned]).toEqual(counts);
  expect(await db.query('SELECT 1 FROM resubmissions')).toEqual([]);
  expect(await db.query('SELECT 1 FROM operator_actions')).toEqual([]);
  expect([...(await reconcileByHand({ ...command, isDryRun: false }, { db, clock: systemClock }))]).toEqual(
    counts,
  );
  expect([
    ...(await reconcileByHand({ ...command, isDryRun: false }, { db, clock: systemClock })).values(),
  ]).toEqual([0, 0, 0]);
  await consumeAll();
  expect(await audit()).toEqual([]);
});

test('letters that are open, dropped or corrected, and what is on its way, are not missing', async () => {
  const events = playedEvents().slice(0, 4);
  await applyToArchive(db, events);
  for (const [n, event] of events.slice(0, 2).entries())
    await createDeadLetters({ db, codeVersion: 'test' }).put(
      'fairness',
      deliveryOf(event, n),
      'handler_error',
      '',
    );
  await dropJob({ filter: {}, decision: WHY }, { db });
  await createDeadLetters({ db, codeVersion: 'test' }).put(
    'fairness',
    deliveryOf(events[2]!, 2),
    'handler_error',
    '',
  );
  await age('1 hour');
  expect(await reconcile('fairness')).toBe(1);
  await db.query('DELETE FROM reconciled');
  expect(await reconcile('fairness')).toBe(0);
});

test('an event below the floor of its game is not resubmitted: it would only be refused', async () => {
  await applyToArchive(db, playedEvents());
  await age('1 hour');
  await db.query("UPDATE games SET dedupe_floor = '2026-11-21'");
  expect(await reconcile('fairness')).toBe(0);
});

test('two workers reconcile a role at once: what is missing is submitted once', async () => {
  await applyToArchive(db, playedEvents());
  await age('1 hour');
  const submitted = await Promise.all([
    reconcile('fairness'),
    reconcile('fairness'),
    reconcile('leaderboard'),
  ]);
  expect(submitted[0] + submitted[1]).toBe(playedEvents().length);
  const [row] = await db.query<{ count: number }>(
    "SELECT count(*) AS count FROM resubmissions WHERE role = 'fairness'",
  );
  expect(row?.count).toBe(playedEvents().length);
});

test('more is missing than a page holds: all of it is submitted, in pages', async () => {
  const [template] = playedEvents();
  await applyToArchive(db, [template!]);
  await db.query(
    `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                         definition_version, content_hash, payload)
     SELECT dedupe_day, gen_random_uuid(), game_id, player_id, 'e-' || n, type, ts_ms, received_at_ms, src, key_id,
            definition_version, content_hash, payload FROM events, generate_series(1, 1200) AS n`,
  );
  await age('1 hour');
  expect(await reconcile('fairness')).toBe(1_201);
});
