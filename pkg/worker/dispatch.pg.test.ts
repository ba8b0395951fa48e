import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DEFAULT_MAX_ATTEMPTS } from '../bus/deliver.js';
import type { BatchHandler } from '../bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../contract/event.js';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { systemRandom } from '../kernel/random.js';
import { createDatabase } from '../postgres/database.js';
import type { Database, Sql } from '../postgres/port.js';
import { admittedEvent } from '../testkit/admitted-event.js';
import {
  batchOf,
  countersOf,
  countingMetrics,
  definitions,
  deliveryOf,
  drive,
  lettersOf,
  prepare,
  said,
  worker,
  xp,
} from '../testkit/dispatch-bench.js';
import { eventually } from '../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { readSums, summingRole } from '../testkit/summing-role.js';
import { startTcpProxy } from '../testkit/tcp-proxy.js';
import { createDeadLetters } from './dead-letters/postgres.js';
import { createDispatch } from './dispatch.js';

describe('a batch', () => {
  let database: TestDatabase;
  let db: Database;
  beforeEach(async () => {
    database = await testDatabase();
    db = database.db;
    await prepare(db);
  });
  afterEach(() => database.close());

  test('rows 31, 32: every event delivered three times in any order counts once, and the duplicates are counted', async () => {
    const { metrics, of } = countingMetrics();
    const handler = worker(db, { metrics });
    const events = Array.from({ length: 60 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n % 7)}`, n));
    const thrice = [...events, ...events, ...events]
      .map((event) => ({ event, at: systemRandom.unit() }))
      .sort((a, b) => a.at - b.at)
      .map(({ event }) => event);
    for (let n = 0; n < thrice.length; n += 17) await drive(db, handler, thrice.slice(n, n + 17));
    const players = Array.from({ length: 7 }, (_, p) =>
      events.filter((event) => event.playerId === `p-${String(p)}`),
    );
    const sumOf = (own: AdmittedEvent[]): number =>
      own.reduce((sum, event) => sum + Number(event.payload['deltaXp']), 0);
    const expected = players.map((own, p) => `p-${String(p)}=${String(sumOf(own))}/${String(own.length)}`);
    expect(await readSums(db)).toBe(expected.join(' '));
    expect(await countersOf(db)).toMatchObject({ delivered: 180, applied: 60, duplicate: 120 });
    expect(of('fairtally_effect_duplicates_suppressed_total')).toBe(120);
  });

  test('what the role does not take enters its inbox, has no effect and is acknowledged', async () => {
    const refreshed: string[] = [];
    const refresh = async (events: readonly { event: AdmittedEvent }[]): Promise<void> => {
      refreshed.push(...events.map(({ event }) => event.id));
    };
    const other = admittedEvent({ id: 'b', type: 'boss_kill', payload: {} });
    expect(said(await worker(db, { refresh })(batchOf([other, other])))).toEqual(['ok', 'ok']);
    expect(await db.query('SELECT 1 FROM inbox')).toHaveLength(1);
    expect(await countersOf(db)).toMatchObject({ delivered: 2, applied: 1, duplicate: 1 });
    expect([await readSums(db), refreshed]).toEqual(['', []]);
  });

  test('row 14: content of a type the role does not take holds its identity against content that it would', async () => {
    const silent = admittedEvent({ id: 'same', type: 'chat', payload: { deltaXp: 100 } });
    const gain = xp('same', 'p-1', 100);
    expect(gain.identity).toBe(silent.identity);
    await drive(db, worker(db), [silent, gain]);
    expect(await readSums(db)).toBe('');
    expect(await lettersOf(db)).toMatchObject([{ reason: 'event_id_conflict', event: 'same' }]);
    expect(await countersOf(db)).toEqual({ delivered: 2, applied: 1, duplicate: 0, conflict: 1, dead: 0 });
  });

  test('row 14: the first content wins; other content under the same identity is a letter, not an effect', async () => {
    const first = xp('same', 'p-1', 10);
    const second = xp('same', 'p-1', 99);
    const third = xp('same', 'p-1', 7);
    expect(second.identity).toBe(first.identity);
    await drive(db, worker(db), [first, second]);
    await drive(db, worker(db), [third, first, third]);
    expect(await readSums(db)).toBe('p-1=10/1');
    expect(await lettersOf(db)).toMatchObject([
      { reason: 'event_id_conflict', state: 'open', attempts: 1 },
      { reason: 'event_id_conflict', state: 'open', attempts: 2 },
    ]);
    expect(await countersOf(db)).toEqual({ delivered: 5, applied: 1, duplicate: 1, conflict: 3, dead: 0 });
  });

  test('a poison event, a broken one and one the database refuses are dead alone; every neighbour counts', async () => {
    const faults = new Map([[3, 'poison'], [11, 'broken'], [12, 'sql']]); // prettier-ignore
    const events = Array.from({ length: 20 }, (_, n) => {
      const fault = faults.get(n);
      return xp(`e-${String(n)}`, `p-${String(n % 2)}`, 1, fault === undefined ? {} : { fault });
    });
    expect(said(await worker(db)(batchOf(events))).filter((outcome) => outcome !== 'ok')).toEqual([
      'xp_overflow',
      'retry',
      'retry',
    ]);
    await drive(db, worker(db), events);
    expect(await readSums(db)).toBe('p-0=9/9 p-1=8/8');
    const letters = (await lettersOf(db)).map(({ event, reason }) => [event, reason]);
    expect(letters.sort()).toEqual([
      ['e-11', 'handler_error'],
      ['e-12', 'handler_error'],
      ['e-3', 'xp_overflow'],
    ]);
    expect(await countersOf(db)).toMatchObject({ applied: 17, dead: 3 });
    expect(await db.query('SELECT 1 FROM inbox')).toHaveLength(17);
  });

  test('what cannot be read and what is below the floor is dead, without an inbox row or a partition', async () => {
    const old = admittedEvent({ id: 'old', tsMs: Date.UTC(2025, 11, 31, 23, 59), payload: { deltaXp: 1 } });
    const noDay = { ...xp('no-day', 'p-1', 1), dedupeDay: '2026-02-30' };
    const bodies = ['{', '{"v":1}', encodeEvent(noDay), '"\u0000"'];
    await drive(db, worker(db), [...bodies, old, xp('right', 'p-1', 5)]);
    expect((await lettersOf(db)).map(({ reason }) => reason)).toEqual([
      ...bodies.map(() => 'unreadable'),
      'event_too_old',
    ]);
    expect(await readSums(db)).toBe('p-1=5/1');
    expect(await db.query("SELECT 1 WHERE to_regclass('inbox_202512') IS NOT NULL")).toEqual([]);
    expect(await countersOf(db)).toMatchObject({ delivered: 6, dead: 5, applied: 1 });
  });

  test('applying an event closes its open letter in the same transaction', async () => {
    const event = xp('late', 'p-1', 4);
    await createDeadLetters({ db, codeVersion: 'old' }).put(
      'progression',
      deliveryOf(event),
      'handler_error',
      'old code',
    );
    expect(await lettersOf(db)).toMatchObject([{ state: 'open' }]);
    await drive(db, worker(db), [xp('other', 'p-1', 1), event]);
    expect(await lettersOf(db)).toMatchObject([{ state: 'applied', attempts: 1 }]);
    await createDeadLetters({ db, codeVersion: 'old' }).put(
      'progression',
      deliveryOf(event),
      'handler_error',
      'too late',
    );
    expect(await lettersOf(db)).toMatchObject([{ state: 'applied', attempts: 2 }]);
  });

  test('a letter that was sent round again and fails again is open again', async () => {
    const event = xp('again', 'p-1', 4, { fault: 'poison' });
    await drive(db, worker(db), [event]);
    await db.query("UPDATE dead_letters SET state = 'redriven'");
    await drive(db, worker(db), [event]);
    expect(await lettersOf(db)).toMatchObject([{ state: 'open', attempts: 2 }]);
  });

  test('the number of statements does not grow with the batch', async () => {
    let statements = 0;
    const counting = (sql: Sql): Sql => ({
      query: (text, values) => {
        statements += 1;
        return sql.query(text, values);
      },
    });
    const counted: Database = {
      ...db,
      ...counting(db),
      transaction: (work, options) => db.transaction((sql) => work(counting(sql)), options),
    };
    const handler = worker(counted);
    const statementsFor = async (from: number, count: number): Promise<number> => {
      statements = 0;
      const events = Array.from({ length: count }, (_, n) =>
        xp(`e-${String(from + n)}`, `p-${String(n)}`, 1),
      );
      expect(new Set(said(await handler(batchOf(events))))).toEqual(new Set(['ok']));
      return statements;
    };
    await statementsFor(0, 1);
    expect([await statementsFor(100, 1), await statementsFor(1000, 500)]).toEqual([5, 5]);
    expect([await statementsFor(100, 1), await statementsFor(1000, 500)]).toEqual([3, 3]);
  });

  test('the view is refreshed for duplicates too, and while it fails the role waits instead of giving up', async () => {
    let failures = 2 * DEFAULT_MAX_ATTEMPTS;
    const refreshed: string[] = [];
    const refresh = async (events: readonly { event: AdmittedEvent }[]): Promise<void> => {
      failures -= 1;
      if (failures > 0) throw new Error('no view');
      refreshed.push(...events.map(({ event }) => event.id));
    };
    const events = [xp('a', 'p-1', 1), xp('b', 'p-2', 1), xp('bad', 'p-3', 1, { fault: 'poison' })];
    await drive(db, worker(db, { refresh }), events);
    expect(refreshed).toEqual(['a', 'b']);
    expect(await readSums(db)).toBe('p-1=1/1 p-2=1/1');
    expect(await lettersOf(db)).toMatchObject([{ reason: 'xp_overflow' }]);
    await countersOf(db);
  });

  test('two interleaved transactions on the same new player lose nothing', async () => {
    let release = (): void => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    let isLocked = false;
    const whenLocked = (): Promise<void> => {
      isLocked = true;
      return released;
    };
    const first = drive(db, worker(db, { whenLocked }), [xp('a', 'new', 3)]);
    await eventually('the first holds the player', () => isLocked);
    const second = drive(db, worker(db), [xp('b', 'new', 4)]);
    await eventually('the second waits for it', async () => {
      const waiting = await db.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
    release();
    await Promise.all([first, second]);
    expect(await readSums(db)).toBe('new=7/2');
  });

  test('two workers with the same events at once: one applies, the other finds duplicates', async () => {
    const events = Array.from({ length: 50 }, (_, n) => xp(`e-${String(n)}`, `p-${String(n)}`, 1));
    await Promise.all([drive(db, worker(db), events), drive(db, worker(db), [...events].reverse())]);
    expect(await countersOf(db)).toMatchObject({ delivered: 100, applied: 50, duplicate: 50 });
    expect(await lettersOf(db)).toEqual([]);
  });

  test('row 42: two workers in opposite order deadlock in the database, and nothing but a retry is seen', async () => {
    const { metrics, of } = countingMetrics();
    const events = (tag: string): AdmittedEvent[] =>
      ['p-1', 'p-2'].map((player) => xp(`${tag}-${player}`, player, 1));
    await drive(db, worker(db), events('before'));
    // Each holds one player's row before either asks for the other's.
    const meet = barrier(2);
    const locking = (own: string): BatchHandler => {
      const role = summingRole();
      let isFirst = true;
      return createDispatch({
        db,
        role: {
          ...role,
          load: async (sql, taken) => {
            await sql.query('SELECT 1 FROM sums WHERE player_id = $1 FOR UPDATE', [own]);
            if (isFirst) await meet();
            isFirst = false;
            return role.load(sql, taken);
          },
        },
        definitions,
        deadLetters: createDeadLetters({ db, codeVersion: 'test' }),
        clock: systemClock,
        random: systemRandom,
        metrics,
        logger: quietLogger,
      });
    };
    await Promise.all([
      drive(db, locking('p-1'), events('left')),
      drive(db, locking('p-2'), events('right').reverse()),
    ]);
    expect(await readSums(db)).toBe('p-1=3/3 p-2=3/3');
    // A slow server may time a lock out beside: how often is not the point.
    expect(of('fairtally_role_transaction_retries_total')).toBeGreaterThanOrEqual(1);
    expect(await lettersOf(db)).toEqual([]);
  });

  test.each(['sent', 'answered'] as const)(
    'row 43: the connection dies when COMMIT was %s: exactly one effect',
    async (when) => {
      const url = new URL(database.url);
      const proxy = await startTcpProxy(Number(url.port));
      url.hostname = '127.0.0.1';
      url.port = String(proxy.port);
      const through = createDatabase({ url: url.toString(), poolSize: 1 });
      const handler = worker(through);
      await handler(batchOf([xp('warm', 'p-1', 1)])); // months and statements are known now
      const batch = [xp('a', 'p-1', 10), xp('b', 'p-2', 20)];
      // With its end of string: BEGIN says READ COMMITTED.
      const cut = proxy.cutAfter('COMMIT\u0000', when);
      await expect(handler(batchOf(batch))).rejects.toBeInstanceOf(OutageError);
      await cut;
      await drive(db, handler, batch);
      expect(await readSums(db)).toBe('p-1=11/2 p-2=20/1');
      if (when === 'answered') expect(await countersOf(db)).toMatchObject({ applied: 3, duplicate: 2 });
      expect(await lettersOf(db)).toEqual([]);
      await through.close();
      await proxy.close();
    },
  );
});

function barrier(parties: number): () => Promise<void> {
  let arrived = 0;
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return () => {
    arrived += 1;
    if (arrived === parties) open();
    return opened;
  };
}
