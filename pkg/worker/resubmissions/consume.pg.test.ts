import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { BatchHandler } from '../../bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../../contract/event.js';
import { systemClock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import { dead, retry } from '../../kernel/outcome.js';
import type { Database } from '../../postgres/port.js';
import {
  countersOf,
  countingMetrics,
  deliveryOf,
  drive,
  lettersOf,
  prepare,
  worker,
  xp,
} from '../../testkit/dispatch-bench.js';
import { gate } from '../../testkit/bus-bench.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { readSums } from '../../testkit/summing-role.js';
import { dropJob, redriveJob } from '../dead-letters/jobs.js';
import { closeStale } from '../dead-letters/postgres.js';
import { listActions, recordAction } from '../dead-letters/queries.postgres.js';
import { consumeBatch, consumeResubmissions, type ConsumeOptions } from './consume.js';
import { consumer, dieAll, idsOf, patiently, redriveAll, WHY } from './fixtures.js';
import { progressOf, redriveLetters, submitCopies } from './postgres.js';

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

async function running<T>(handler: BatchHandler, work: () => Promise<T>, workers = 1): Promise<T> {
  const stop = new AbortController();
  const loops = Array.from({ length: workers }, () =>
    consumeResubmissions(consumer(db, handler), stop.signal),
  );
  try {
    return await work();
  } finally {
    stop.abort();
    await Promise.all(loops);
  }
}

test('a redriven letter takes effect once, in its role, and is closed', async () => {
  await dieAll(db, [xp('a', 'p-1', 5), xp('b', 'p-2', 7)]);
  const action = await redriveAll(db);
  expect((await lettersOf(db)).map(({ state }) => state)).toEqual(['redriven', 'redriven']);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toEqual({ done: 2, skipped: 0, failed: 0 });
  expect(await readSums(db)).toBe('p-1=5/1 p-2=7/1');
  expect((await lettersOf(db)).map(({ state }) => state)).toEqual(['applied', 'applied']);
  expect(await progressOf(db, action)).toEqual({ pending: 0, done: 2, skipped: 0, failed: 0 });
  expect(await countersOf(db)).toMatchObject({ delivered: 4, applied: 2, dead: 2 });
  expect(await listActions(db, 5)).toMatchObject([{ action: 'redrive', ...WHY }]);
});

test('poison again is the same letter with one attempt more, open, and nobody sends it again by itself', async () => {
  await dieAll(db, [xp('a', 'p-1', 5, { fault: 'poison' })]);
  await redriveAll(db);
  let calls = 0;
  const handler: BatchHandler = (batch) => {
    calls += 1;
    return worker(db)(batch);
  };
  expect(await consumeBatch(consumer(db, handler), signal)).toEqual({ done: 0, skipped: 0, failed: 1 });
  expect(await consumeBatch(consumer(db, handler), signal)).toEqual({ done: 0, skipped: 0, failed: 0 });
  expect(calls).toBe(1);
  expect(await lettersOf(db)).toMatchObject([{ state: 'open', attempts: 2, reason: 'xp_overflow' }]);
  await redriveAll(db);
  await consumeBatch(consumer(db, handler), signal);
  expect(await lettersOf(db)).toMatchObject([{ state: 'open', attempts: 3 }]);
});

test('an event that fails for a while gets the attempts of any delivery', async () => {
  await dieAll(db, [xp('a', 'p-1', 5)]);
  await redriveAll(db);
  let failures = 1;
  const handler: BatchHandler = async (batch) => {
    failures -= 1;
    if (failures >= 0) throw new Error('not now');
    return worker(db)(batch);
  };
  expect(await consumeBatch(consumer(db, handler), signal)).toEqual({ done: 1, skipped: 0, failed: 0 });
});

test('what could not be read and can be read now takes effect and its letter is closed; what still cannot keeps its letter', async () => {
  await drive(db, worker(db), ['{', 'later readable']);
  await redriveAll(db);
  const event = xp('read', 'p-1', 3);
  const newCode: BatchHandler = (batch) =>
    worker(db)(
      batch.map((delivery) =>
        delivery.body === 'later readable' ? { ...deliveryOf(event), attempt: 1 } : delivery,
      ),
    );
  expect(await consumeBatch(consumer(db, newCode), signal)).toEqual({ done: 1, skipped: 0, failed: 1 });
  expect(await readSums(db)).toBe('p-1=3/1');
  expect(await lettersOf(db)).toMatchObject([
    { state: 'open', attempts: 2, reason: 'unreadable' },
    { state: 'applied', attempts: 1 },
  ]);
});

test('of one player the events come in the order they died in, and none before an earlier one is settled', async () => {
  const events = Array.from({ length: 9 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n % 2)}`, 1));
  await dieAll(db, events);
  await redriveAll(db);
  const seen: string[] = [];
  let hasFailed = false;
  const handler: BatchHandler = async (batch) => {
    const ids = batch.map(({ body }) => (JSON.parse(body) as AdmittedEvent).id);
    if (!hasFailed) {
      hasFailed = true;
      const outcomes = await worker(db)(batch.slice(0, 2));
      seen.push(...ids.slice(0, 2));
      return [...outcomes, ...batch.slice(2).map(() => ({ kind: 'retry', error: 'not now' }) as const)];
    }
    seen.push(...ids);
    return worker(db)(batch);
  };
  await consumeBatch(consumer(db, handler), signal);
  expect(seen).toEqual(events.map(({ id }) => id));
});

test('killed after the effect and before the close: it is delivered again, counts once, and its letter is closed', async () => {
  await dieAll(db, [xp('a', 'p-1', 5)]);
  const action = await redriveAll(db);
  const killed: ConsumeOptions['deliver'] = async (batch, by, sink, until) => {
    await consumer(db, worker(db)).deliver(batch, by, sink, until);
    throw new OutageError('the process');
  };
  await expect(consumeBatch(consumer(db, worker(db), { deliver: killed }), signal)).rejects.toBeInstanceOf(
    OutageError,
  );
  expect(await progressOf(db, action)).toMatchObject({ pending: 1 });
  await consumeBatch(consumer(db, worker(db)), signal);
  expect(await progressOf(db, action)).toMatchObject({ pending: 0, failed: 0 });
  expect(await readSums(db)).toBe('p-1=5/1');
  expect(await lettersOf(db)).toMatchObject([{ state: 'applied' }]);
});

test('killed after the letter was written again and before the close: the letter stays, nothing is lost', async () => {
  await dieAll(db, [xp('a', 'p-1', 5, { fault: 'poison' })]);
  await redriveAll(db);
  const killed: ConsumeOptions['deliver'] = async (batch, by, sink, until) => {
    await consumer(db, worker(db)).deliver(batch, by, sink, until);
    throw new OutageError('the process');
  };
  await expect(consumeBatch(consumer(db, worker(db), { deliver: killed }), signal)).rejects.toBeInstanceOf(
    OutageError,
  );
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ failed: 1 });
  expect(await lettersOf(db)).toMatchObject([{ state: 'open', attempts: 3 }]);
});

test('row 53: while a letter cannot be written again its resubmission stays pending', async () => {
  await dieAll(db, [xp('a', 'p-1', 5, { fault: 'poison' })]);
  const action = await redriveAll(db);
  let tries = 0;
  const stop = new AbortController();
  const deadLetters = {
    put: async () => {
      tries += 1;
      if (tries === 3) stop.abort();
      throw new Error('the disk is full');
    },
  };
  await consumeBatch(consumer(db, worker(db), { deadLetters }), stop.signal);
  expect(await progressOf(db, action)).toMatchObject({ pending: 1 });
  await consumeBatch(consumer(db, worker(db)), signal);
  expect(await progressOf(db, action)).toMatchObject({ pending: 0, failed: 1 });
  expect(await lettersOf(db)).toMatchObject([{ state: 'open', attempts: 2 }]);
});

test('the bus delivers the original while it is redriven: one effect, whoever comes first', async () => {
  const event = xp('a', 'p-1', 5);
  await dieAll(db, [event]);
  await redriveAll(db);
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let isLocked = false;
  const whenLocked = (): Promise<void> => {
    isLocked = true;
    return released;
  };
  const byBus = drive(db, worker(db, { whenLocked }), [event]);
  await patiently('the bus has the event in its transaction', () => isLocked);
  const redriven = consumeBatch(consumer(db, worker(db)), signal);
  await patiently('the redriven one waits for it', async () => {
    const waiting = await db.query(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    return waiting.length === 1;
  });
  release();
  await byBus;
  const closed = await redriven;
  expect(closed.failed).toBe(0);
  expect(await readSums(db)).toBe('p-1=5/1');
  expect(await lettersOf(db)).toMatchObject([{ state: 'applied' }]);
  expect(await countersOf(db)).toMatchObject({ applied: 1, duplicate: 1 });
});

test('a letter that is written while another worker applies its event is closed afterwards', async () => {
  const event = xp('a', 'p-1', 5);
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let isLocked = false;
  const whenLocked = (): Promise<void> => {
    isLocked = true;
    return released;
  };
  const applied = drive(db, worker(db, { whenLocked }), [event]);
  await patiently('the event is in a transaction', () => isLocked);
  await dieAll(db, [event]);
  release();
  await applied;
  expect(await lettersOf(db)).toMatchObject([{ state: 'open' }]);
  expect(await closeStale(db, 'progression')).toBe(1);
  expect(await lettersOf(db)).toMatchObject([{ state: 'applied' }]);
});

test('content that lost its identity stays a letter, however often it is redriven', async () => {
  await drive(db, worker(db), [xp('same', 'p-1', 10), xp('same', 'p-1', 99)]);
  await redriveAll(db);
  expect(await consumeBatch(consumer(db, worker(db)), signal)).toMatchObject({ failed: 1 });
  expect(await closeStale(db, 'progression')).toBe(0);
  expect(await readSums(db)).toBe('p-1=10/1');
  expect(await lettersOf(db)).toMatchObject([{ state: 'open', attempts: 2, reason: 'event_id_conflict' }]);
});

test('two workers of a role do not take the same resubmissions', async () => {
  await dieAll(
    db,
    Array.from({ length: 30 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n % 3)}`, 1)),
  );
  const action = await redriveAll(db);
  await running(
    worker(db),
    () => patiently('all is closed', async () => (await progressOf(db, action)).pending === 0),
    3,
  );
  expect(await progressOf(db, action)).toEqual({ pending: 0, done: 30, skipped: 0, failed: 0 });
  expect(await countersOf(db)).toMatchObject({ applied: 30, duplicate: 0 });
});

test('two operators at once: each letter is sent once', async () => {
  await dieAll(
    db,
    Array.from({ length: 40 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n)}`, 1)),
  );
  const ids = await idsOf(db);
  const actions = await Promise.all(
    ['ada', 'bob'].map((actor) => recordAction(db, 'redrive', { actor, why: '' }, {})),
  );
  const sent = await Promise.all([
    redriveLetters(db, ids, actions[0]!),
    redriveLetters(db, [...ids].reverse(), actions[1]!),
  ]);
  expect(sent[0] + sent[1]).toBe(40);
  await consumeBatch(consumer(db, worker(db)), signal);
  expect(await countersOf(db)).toMatchObject({ applied: 40, duplicate: 0 });
});

test('row 54: 10,000 letters are redriven, some done before, some dropped, some poison: each counts at most once, and the counts say so', async () => {
  const count = 10_000;
  // Letters of events that no role has seen; the first hundred have taken effect meanwhile, by the bus.
  const events = Array.from({ length: count }, (_, n) =>
    xp(`e-${String(n)}`, `p-${String(n % 50)}`, 1, n % 1000 === 999 ? { fault: 'poison' } : {}),
  );
  await db.query(
    `INSERT INTO dead_letters (role, game_id, player_id, dedupe_day, identity, content_hash, transport_position, reason, detail,
                               attempts, body, headers, code_version)
     SELECT 'progression', 'demo', e ->> 'playerId', (e ->> 'dedupeDay')::date, (e ->> 'identity')::uuid,
            decode(e ->> 'contentHash', 'hex'), '0/' || n, 'xp_overflow', '', 1, e::text, '{}', 'old'
       FROM json_array_elements($1::json) WITH ORDINALITY AS g (e, n)`,
    [JSON.stringify(events)],
  );
  await drive(db, worker(db), events.slice(0, 100));
  await db.query(
    `UPDATE dead_letters SET state = 'open', last_seen_at = now() - interval '1 hour' WHERE transport_position LIKE '0/1_'`,
  );
  const ids = await idsOf(db);
  await dropJob({ filter: { ids: ids.slice(200, 300) }, decision: WHY }, { db });
  const { metrics, of } = countingMetrics();
  const redriveOnce = () =>
    running(worker(db, { metrics }), () =>
      redriveJob(
        { filter: { role: 'progression' }, decision: WHY, rate: 100_000, stalledMs: 300_000 },
        { db, clock: systemClock },
      ),
    );
  const first = await redriveOnce();
  // Ten that had taken effect are open by mistake; a hundred are dropped; ten are poison.
  expect(first).toMatchObject({
    looked: 9_810,
    sent: 9_810,
    done: 9_790,
    skipped: 10,
    failed: 10,
    pending: 0,
  });
  expect(of('fairtally_effect_duplicates_suppressed_total')).toBe(10);
  const again = await redriveOnce();
  expect(again).toMatchObject({ sent: 10, done: 0, skipped: 0, failed: 10 });
  const [sum] = await db.query<{ xp: number }>('SELECT sum(xp)::bigint AS xp FROM sums');
  expect(sum?.xp).toBe(count - 100 - 10);
  expect(await countersOf(db)).toMatchObject({ applied: count - 100 - 10 });
  const states = await db.query('SELECT state, count(*) FROM dead_letters GROUP BY state ORDER BY state');
  expect(states).toEqual([
    { state: 'applied', count: 9_890 },
    { state: 'dropped', count: 100 },
    { state: 'open', count: 10 },
  ]);
});

test('a job that no worker serves says so, and goes on by itself when one comes', async () => {
  await dieAll(db, [xp('a', 'p-1', 5)]);
  const job = { filter: {}, decision: WHY, rate: 1000, stalledMs: 50 };
  const result = await redriveJob(job, { db, clock: systemClock });
  expect(result).toMatchObject({ sent: 1, pending: 1, isStalled: true });
  expect(await redriveJob(job, { db, clock: systemClock })).toMatchObject({
    looked: 0,
    sent: 0,
    isStalled: false,
  });
  await consumeBatch(consumer(db, worker(db)), signal);
  expect(await progressOf(db, result.actionId)).toMatchObject({ pending: 0, done: 1 });
});

test('a letter that is redriven while another resubmission of its event is in hand is open again when that one fails', async () => {
  const events = [xp('a', 'p-1', 5), xp('b', 'p-2', 7)];
  const sent = await recordAction(db, 'reconcile', WHY, {});
  const copies = events.map((event) => ({ role: 'progression' as const, event, body: encodeEvent(event) }));
  await submitCopies(db, copies, sent);
  const held = gate();
  let calls = 0;
  const handler: BatchHandler = async (batch) => {
    calls += 1;
    if (calls === 1)
      return batch.map((_, n) => (n === 0 ? dead('xp_overflow', '') : retry(new Error('not now'))));
    await held.opened;
    return worker(db)(batch);
  };
  const consumed = consumeBatch(consumer(db, handler), signal);
  await patiently('the first is a letter', async () => (await idsOf(db)).length === 1);
  const action = await recordAction(db, 'redrive', WHY, {});
  expect(await redriveLetters(db, await idsOf(db), action)).toBe(0);
  held.open();
  expect(await consumed).toEqual({ done: 1, skipped: 0, failed: 1 });
  expect(await lettersOf(db)).toMatchObject([{ state: 'open' }]);
  await redriveAll(db);
  await consumeBatch(consumer(db, worker(db)), signal);
  expect(await lettersOf(db)).toMatchObject([{ state: 'applied' }]);
  expect(await readSums(db)).toBe('p-1=5/1 p-2=7/1');
});
