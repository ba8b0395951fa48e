import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { BatchHandler, Delivery } from '../../bus/port.js';
import { systemClock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import { ok, retry, type Outcome } from '../../kernel/outcome.js';
import { systemRandom } from '../../kernel/random.js';
import type { RoleName } from '../../kernel/roles.js';
import { createDatabase } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { batchOf, deliverAll, lettersOf, said, xp } from '../../testkit/dispatch-bench.js';
import { eventually } from '../../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { quietLogger, quietMetrics } from '../../testkit/quiet.js';
import { createCrashGuard } from './guard.js';
import { openLife } from './postgres-life.js';
import { createMarks } from './postgres.js';
import { CRASHES_MAX, SUSPECT_AFTER } from './rules.js';

let database: TestDatabase;
let db: Database;
const lives: { close(): Promise<void> }[] = [];
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
});
afterEach(async () => {
  await Promise.all(lives.splice(0).map((life) => life.close()));
  await database.close();
});

const never = new Promise<never>(() => undefined);

interface TestProcess {
  handle(batch: readonly Delivery[], role?: RoleName): Promise<readonly Outcome[]>;
  /** The message ids of each call. */
  readonly calls: string[][];
  /** What the server sees of a process that ends all of a sudden. */
  die(): Promise<void>;
  stop(why?: 'told' | 'failed'): Promise<void>;
}

/** A worker process as the others see it: its session and its marks. What it is to do with an event is said by id. */
async function startWorker(
  outcomeOf: (delivery: Delivery) => Outcome | Promise<Outcome> = () => ok,
): Promise<TestProcess> {
  const life = await openLife({
    url: database.url,
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
  });
  lives.push(life);
  const marks = createMarks(db, life);
  const guard = createCrashGuard({ marks, logger: quietLogger, metrics: quietMetrics });
  const calls: string[][] = [];
  const handler: BatchHandler = async (batch) => {
    calls.push(batch.map(({ messageId }) => messageId));
    return Promise.all(batch.map(outcomeOf));
  };
  return {
    calls,
    handle: (batch, role = 'progression') => guard(role, handler)(batch),
    die: async () => {
      await life.close();
      await eventually('the server has noticed', async () => {
        const [row] = await db.query<{ free: boolean }>(
          'SELECT pg_try_advisory_xact_lock_shared($1::bigint) AS free',
          [life.incarnation],
        );
        return row?.free === true;
      });
    },
    stop: (why = 'told') => marks.close(why),
  };
}

/** A process that dies while it has these in hand, the last call of its handler. */
async function dieWith(
  batch: readonly Delivery[],
  isDeadly: (delivery: Delivery) => boolean,
  beforehand: (process: TestProcess) => Promise<unknown> = async () => undefined,
): Promise<TestProcess> {
  const process = await startWorker((delivery) => (isDeadly(delivery) ? never : ok));
  void process.handle(batch);
  await eventually('it is at the deadly one', () => {
    const last = process.calls.at(-1) ?? [];
    return batch.some((delivery) => isDeadly(delivery) && last.includes(delivery.messageId));
  });
  await beforehand(process);
  await process.die();
  return process;
}

/** So many processes that all events of the batch are under suspicion. */
async function suspectAll(batch: readonly Delivery[]): Promise<void> {
  for (let deaths = 0; deaths < SUSPECT_AFTER; deaths += 1) await dieWith(batch, () => true);
}

const three = (): Delivery[] => batchOf([xp('a', 'p-1', 1), xp('b', 'p-2', 1), xp('c', 'p-3', 1)]);
const ids = (batch: readonly Delivery[]): string[] => batch.map(({ messageId }) => messageId);
const each = (batch: readonly Delivery[]): string[][] => ids(batch).map((id) => [id]);
const suspects = async (): Promise<number[]> =>
  (await db.query<{ crashes: number }>('SELECT cardinality(crashes) AS crashes FROM crash_suspects')).map(
    ({ crashes }) => crashes,
  );

describe('what processes had in hand when they died', () => {
  test('runs one by one if it was two processes, once; then the same events run together again', async () => {
    const batch = three();
    await suspectAll(batch);
    const next = await startWorker();
    expect(said(await next.handle(batch))).toEqual(['ok', 'ok', 'ok']);
    expect(next.calls).toEqual(each(batch));
    expect(await suspects()).toEqual([]);
    await next.handle(batch);
    expect(next.calls.at(-1)).toEqual(ids(batch));
  });

  test('runs together as before if only one process died of it', async () => {
    const batch = three();
    await dieWith(batch, () => true);
    const next = await startWorker();
    expect(said(await next.handle(batch))).toEqual(['ok', 'ok', 'ok']);
    expect(next.calls).toEqual([ids(batch)]);
  });

  test('does not split what it had not in hand', async () => {
    const batch = three();
    const [before, , between, after, end] = batchOf(
      Array.from({ length: 5 }, (_, n) => xp(`o${String(n)}`, 'p', 1)),
    );
    await suspectAll(batch.slice(0, 2));
    const next = await startWorker();
    const mixed = [before, batch[0], between, after, batch[1], end] as Delivery[];
    expect(said(await next.handle(mixed))).toEqual(mixed.map(() => 'ok'));
    const [b, one, m, n, two, e] = ids(mixed);
    expect(next.calls).toEqual([[b], [one], [m, n], [two], [e]]);
  });

  test('is nothing to other roles, and of all that it had in hand at once nothing is forgotten', async () => {
    const [first, second, other] = [three(), three(), three()];
    for (let deaths = 0; deaths < SUSPECT_AFTER; deaths += 1) {
      const dying = await startWorker(() => never);
      void dying.handle(first);
      void dying.handle(second);
      void dying.handle(other, 'archive');
      await eventually('all three run', () => dying.calls.length === 3);
      await dying.die();
    }
    const next = await startWorker();
    await next.handle(other);
    expect(next.calls).toEqual([ids(other)]);
    await next.handle([...first, ...second]);
    expect(next.calls.slice(1)).toEqual([...each(first), ...each(second)]);
  });

  test('is looked at by whoever gets it, and two at once agree', async () => {
    const batch = three();
    await suspectAll(batch);
    const [left, right] = await Promise.all([startWorker(), startWorker()]);
    const answers = await Promise.all([left.handle(batch), right.handle(batch)]);
    expect(answers.map(said)).toEqual([ids(batch).map(() => 'ok'), ids(batch).map(() => 'ok')]);
    expect(await suspects()).toEqual([]);
    expect(await db.query('SELECT 1 FROM batches_in_hand')).toHaveLength(2);
  });

  test('is not what a slow process has in hand, nor what one had that was told to stop', async () => {
    const batch = three();
    const slow = await startWorker(() => never);
    void slow.handle(batch);
    await eventually('it has them', () => slow.calls.length === 1);
    const other = await startWorker();
    await other.handle(batch);
    await slow.stop();
    await slow.die();
    await other.handle(batch);
    expect(other.calls).toEqual([ids(batch), ids(batch)]);
  });
});

describe('an event that ends process after process', () => {
  test('row 36: is a dead letter crash_loop after three crashes alone; its neighbours take effect', async () => {
    const batch = three();
    const poison = batch[1] as Delivery;
    const isPoison = (delivery: Delivery): boolean => delivery === poison;
    // In a batch nobody knows which it was.
    for (let n = 1; n <= SUSPECT_AFTER; n += 1) await dieWith(batch, isPoison);
    for (let n = 1; n <= CRASHES_MAX; n += 1) {
      const process = await dieWith(batch, isPoison);
      expect(process.calls.at(-1)).toEqual([poison.messageId]);
    }
    const last = await startWorker();
    expect(await deliverAll(db, last.handle, batch)).toEqual([true, true, true]);
    expect(last.calls.flat()).not.toContain(poison.messageId);
    expect(await lettersOf(db)).toMatchObject([{ reason: 'crash_loop', event: 'b' }]);
    expect(await suspects()).toEqual([CRASHES_MAX]);
  });

  test('is found as well when the process notices and stops, and what it took after that does not hide it', async () => {
    const batch = three();
    const [poison] = batch;
    const stops = async (process: TestProcess): Promise<void> => {
      await process.stop('failed');
      void process.handle(batch.slice(1)); // behind one that runs alone it does not get its turn
    };
    for (let n = 1; n <= SUSPECT_AFTER + CRASHES_MAX; n += 1)
      await dieWith(batch, (delivery) => delivery === poison, stops);
    expect(said(await (await startWorker()).handle(batch))).toEqual(['crash_loop', 'ok', 'ok']);
  });

  test('is a letter before anything else of its player is handed out, which may be another content of its id', async () => {
    const batch = batchOf([xp('a', 'p-1', 1), xp('a', 'p-1', 2), xp('b', 'p-2', 1)]);
    const [poison] = batch;
    for (let n = 1; n <= SUSPECT_AFTER + CRASHES_MAX; n += 1)
      await dieWith(batch, (delivery) => delivery === poison);
    const last = await startWorker();
    expect(said(await last.handle(batch))).toEqual(['crash_loop', 'retry', 'ok']);
    expect(await deliverAll(db, last.handle, batch)).toEqual([true, true, true]);
    expect(last.calls.flat()).not.toContain(poison?.messageId);
  });

  test('keeps its count when its letter is written, for it may come again before it is settled; what is sent round again is another message', async () => {
    const batch = three().slice(0, 1);
    await suspectAll(batch);
    for (let n = 1; n <= CRASHES_MAX; n += 1) await dieWith(batch, () => true);
    const last = await startWorker();
    expect([said(await last.handle(batch)), said(await last.handle(batch))]).toEqual([
      ['crash_loop'],
      ['crash_loop'],
    ]);
    expect(await suspects()).toEqual([CRASHES_MAX]);
    await deliverAll(db, last.handle, batch);
    // As if this process had died of another role's event before the bus knew.
    expect(said(await last.handle(batch))).toEqual(['crash_loop']);
    expect(last.calls).toEqual([]);
    const again = batch.map((delivery) => ({ ...delivery, messageId: 'resubmission/1' }));
    expect(said(await last.handle(again))).toEqual(['ok']);
    expect(last.calls).toEqual(each(again));
  });

  test('is suspected no longer when it succeeds or is dead, still when it asks for another try', async () => {
    const batch = three();
    const answers = new Map([
      [batch[0], [retry(new Error('later')), ok]],
      [batch[1], [ok]],
      [batch[2], [{ kind: 'dead', reason: 'xp_overflow', detail: '' }]],
    ] as [Delivery, Outcome[]][]);
    await suspectAll(batch);
    const next = await startWorker((delivery) => answers.get(delivery)?.shift() ?? ok);
    expect(said(await next.handle(batch))).toEqual(['retry', 'ok', 'xp_overflow']);
    expect(await suspects()).toEqual([0]);
    await next.handle(batch);
    expect(await suspects()).toEqual([]);
  });

  test('an error of one that runs alone is its own', async () => {
    const batch = three();
    await suspectAll(batch);
    const next = await startWorker((delivery) => {
      if (delivery === batch[1]) throw new TypeError('a mistake');
      return ok;
    });
    expect(said(await next.handle(batch))).toEqual(['ok', 'retry', 'ok']);
  });
});

describe('an outage', () => {
  test('of the database under the guard pauses the batch before the handler sees it', async () => {
    const away = createDatabase({ url: database.url, poolSize: 1 });
    await away.close();
    const marks = createMarks(away, { incarnation: '1', isHeld: true });
    const guard = createCrashGuard({ marks, logger: quietLogger, metrics: quietMetrics });
    let calls = 0;
    const guarded = guard('progression', async (batch) => {
      calls += 1;
      return batch.map(() => ok);
    });
    await expect(guarded(three())).rejects.toBeInstanceOf(OutageError);
    await db.query('ALTER TABLE batches_in_hand RENAME TO batches_away');
    const worker = await startWorker();
    await expect(worker.handle(three())).rejects.toBeInstanceOf(OutageError);
    expect([calls, worker.calls]).toEqual([0, []]);
  });

  test('of a handler passes through, and an event that waits for its end is not in hand', async () => {
    const batch = three();
    await suspectAll(batch);
    for (let lives = 0; lives < CRASHES_MAX + 1; lives += 1) {
      const waiting = await startWorker(() => {
        throw new OutageError('PostgreSQL');
      });
      await expect(waiting.handle(batch)).rejects.toBeInstanceOf(OutageError);
      await waiting.die();
    }
    const next = await startWorker();
    expect(said(await next.handle(batch))).toEqual(['ok', 'ok', 'ok']);
  });
});

test('a living process whose session breaks is taken for dead at most until it is back', async () => {
  const batch = three().slice(0, 1);
  await suspectAll(batch);
  const living = await startWorker(() => never);
  void living.handle(batch);
  await eventually('it runs alone', () => living.calls.length === 1);
  // What another would find while the session is broken, and do.
  await db.query('UPDATE crash_suspects SET crashes = ARRAY(SELECT incarnation FROM worker_lives)');
  await db.query('DELETE FROM worker_lives');
  expect(await suspects()).toEqual([1]);
  const sessions =
    "FROM pg_stat_activity WHERE application_name = 'fairtally life' AND datname = current_database()";
  await db.query(`SELECT pg_terminate_backend(pid) ${sessions}`);
  await eventually('nothing counts against it', async () => (await suspects())[0] === 0);
  expect(await db.query('SELECT 1 FROM worker_lives')).toHaveLength(1);
  const other = await startWorker();
  expect(said(await other.handle(batch))).toEqual(['ok']);
  expect(await db.query('SELECT 1 FROM worker_lives')).toHaveLength(2);
});

test('what never comes again is forgotten', async () => {
  const [first, second] = [three(), three()];
  await dieWith(first, () => true);
  const next = await startWorker();
  await next.handle(second);
  expect(await suspects()).toEqual([0, 0, 0]);
  await db.query("UPDATE crash_suspects SET since = now() - interval '61 minutes'");
  await db.query(
    "INSERT INTO crash_suspects VALUES ('progression', 'counted', 1, '{7}', now() - interval '23 hours')",
  );
  await db.query(
    "INSERT INTO batches_in_hand VALUES ('fairness', 7, 0, '', false, now() - interval '25 hours')",
  );
  await dieWith(three(), () => true);
  await next.handle(second);
  expect((await suspects()).sort()).toEqual([0, 0, 0, 1]);
  expect(await db.query("SELECT 1 FROM batches_in_hand WHERE role = 'fairness'")).toEqual([]);
});
