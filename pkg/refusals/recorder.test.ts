import { beforeEach, describe, expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import { createMetrics } from '../runtime/metrics.js';
import { quietLogger } from '../testkit/quiet.js';
import type { MinuteCount, RefusalDetails, RefusalKind, RefusalStore, ToldRefusal } from './port.js';
import { RefusalRecorder, UNVERIFIED_SHARE, VERIFIED_SHARE } from './recorder.js';

const DETAILS: RefusalDetails = {
  keyId: 'key',
  playerId: 'p',
  eventId: null,
  type: null,
  tsMs: null,
  src: 'client',
  platform: null,
  pointer: null,
  detail: null,
  snippet: null,
};
const BATCH = VERIFIED_SHARE.batchMax + UNVERIFIED_SHARE.batchMax;

let nowMs: number;
let written: { refusals: readonly ToldRefusal[]; counts: readonly MinuteCount[] }[];
let trimmed: (readonly string[])[];
/** What the database says to the next write; null: it takes it. */
let failure: Error | null;
let recorder: RefusalRecorder;
let metrics: ReturnType<typeof createMetrics>;

beforeEach(() => {
  nowMs = 0;
  written = [];
  trimmed = [];
  failure = null;
  metrics = createMetrics({ processMetrics: false });
  const store: RefusalStore = {
    write: async (refusals, counts) => {
      if (failure !== null) throw failure;
      written.push({ refusals, counts });
    },
    trim: async (gameIds) => {
      trimmed.push(gameIds);
      return trimmed.length > 1;
    },
    forgetOld: () => Promise.resolve(),
  };
  recorder = new RefusalRecorder({
    store,
    clock: { monotonicMs: () => nowMs },
    metrics,
    logger: quietLogger,
  });
});

function tell(count: number, over: Partial<RefusalKind> = {}, details: Partial<RefusalDetails> = {}): void {
  const kind: RefusalKind = {
    gameId: 'demo',
    isVerified: true,
    code: 'invalid_ts',
    build: '1.0',
    atMs: 60_000,
    ...over,
  };
  for (let n = 0; n < count; n += 1) recorder.tell(kind, () => ({ ...DETAILS, ...details }));
}

const dropped = async (): Promise<Record<string, number>> =>
  Object.fromEntries(
    [
      ...(await metrics.render()).matchAll(/^fairtally_refusals_dropped_total\{reason="(\w+)"\} (\d+)$/gm),
    ].map(([, reason = '', count]) => [reason, Number(count)]),
  );
const counted = (): number =>
  written.flatMap(({ counts }) => counts).reduce((sum, { events }) => sum + events, 0);
const kept = (): readonly ToldRefusal[] => written.flatMap(({ refusals }) => refusals);

describe('what is refused is told', () => {
  test('with what it was, in the next batch; and where nothing was refused nothing is asked of the database', async () => {
    await recorder.flush();
    expect(written).toEqual([]);
    tell(1, {}, { snippet: '{}' });
    await recorder.flush();
    await recorder.flush();
    expect(written).toEqual([
      {
        refusals: [
          {
            ...DETAILS,
            gameId: 'demo',
            isVerified: true,
            code: 'invalid_ts',
            build: '1.0',
            atMs: 60_000,
            snippet: '{}',
          },
        ],
        counts: [{ gameId: 'demo', minuteMs: 60_000, code: 'invalid_ts', build: '1.0', events: 1 }],
      },
    ]);
  });

  test('up to a number per game and second, beyond which nobody looks at the event; the counts hold all', async () => {
    let described = 0;
    const kind = { gameId: 'demo', isVerified: true, code: 'invalid_ts', build: null, atMs: 0 } as const;
    for (let n = 0; n < 300; n += 1)
      recorder.tell(kind, () => {
        described += 1;
        return DETAILS;
      });
    tell(5, { gameId: 'quiet' });
    await recorder.flush();
    expect(described).toBe(VERIFIED_SHARE.perGameAndSecondMax);
    expect(kept().filter(({ gameId }) => gameId === 'quiet')).toHaveLength(5);
    expect(counted()).toBe(305);
    expect(await dropped()).toEqual({ rate: 100 });
    nowMs = 1_000;
    tell(1);
    await recorder.flush();
    expect(kept()).toHaveLength(206);
  });

  test('in batches of 500 at most, of which strangers have a tenth', async () => {
    for (let game = 0; game < 4; game += 1) {
      tell(200, { gameId: `g${String(game)}` });
      tell(50, { gameId: `g${String(game)}`, isVerified: false });
    }
    await recorder.flush();
    expect(kept()).toHaveLength(BATCH);
    expect(BATCH).toBe(500);
    expect(kept().filter(({ isVerified }) => !isVerified)).toHaveLength(UNVERIFIED_SHARE.batchMax);
    await recorder.flushAll();
    expect(kept()).toHaveLength(4 * (200 + UNVERIFIED_SHARE.perGameAndSecondMax));
    expect(await dropped()).toEqual({ rate: 4 * 30 });
  });

  test('and a description that fails is counted, and fails nobody', async () => {
    recorder.tell({ gameId: 'g', isVerified: true, code: 'invalid_ts', build: null, atMs: 0 }, () => {
      throw new Error('a bug');
    });
    await recorder.flush();
    expect([kept().length, counted(), await dropped()]).toEqual([0, 1, { failed: 1 }]);
  });
});

describe('while the database is away', () => {
  test('as much waits as there is room for, one game does not take it from the others, and all is counted', async () => {
    failure = new OutageError('PostgreSQL');
    for (let second = 0; second < 20; second += 1) {
      nowMs = second * 1_000;
      tell(200, { gameId: 'loud' });
      tell(1, { gameId: 'quiet' });
      tell(20, { isVerified: false });
      await recorder.flush();
    }
    expect(written).toEqual([]);
    failure = null;
    await recorder.flushAll();
    const quiet = kept().filter(({ gameId }) => gameId === 'quiet');
    expect(quiet).toHaveLength(20);
    // One batch was in hand when the outage began, as many again wait as have room.
    expect(kept().length).toBeLessThanOrEqual(
      BATCH + VERIFIED_SHARE.waitingMax + UNVERIFIED_SHARE.waitingMax,
    );
    expect(counted()).toBe(20 * 221);
    const { full = 0 } = await dropped();
    expect(kept().length + full).toBe(20 * 221);
  });

  test('a batch is tried until it is written, and is written once', async () => {
    failure = new OutageError('PostgreSQL');
    tell(3);
    for (let n = 0; n < 10; n += 1) await recorder.flush();
    failure = null;
    await recorder.flush();
    await recorder.flush();
    expect([kept().length, counted(), written.length]).toEqual([3, 3, 1]);
  });

  test('telling waits for nothing, whatever the database does', async () => {
    let answer = (): void => undefined;
    const hangs = new Promise<void>((resolve) => (answer = resolve));
    const hanging = new RefusalRecorder({
      store: { write: () => hangs, trim: () => Promise.resolve(true), forgetOld: () => Promise.resolve() },
      clock: { monotonicMs: () => nowMs },
      metrics,
      logger: quietLogger,
    });
    const kind = { gameId: 'demo', isVerified: true, code: 'invalid_ts', build: null, atMs: 0 } as const;
    hanging.tell(kind, () => DETAILS);
    const writing = hanging.flush();
    for (let second = 0; second < 20; second += 1) {
      nowMs = second * 1_000;
      for (let n = 0; n < 200; n += 1) expect(hanging.tell(kind, () => DETAILS)).toBeUndefined();
    }
    expect((await dropped())['full']).toBeGreaterThan(1_000);
    answer();
    await writing;
  });
});

test('rows that the database itself refuses are given up after three tries; their counts are not, nor what comes after', async () => {
  failure = new Error('value too long');
  tell(2);
  for (let n = 0; n < 3; n += 1) await recorder.flush();
  expect(await dropped()).toEqual({ failed: 2 });
  failure = null;
  tell(1);
  await recorder.flushAll();
  expect([kept().length, counted()]).toEqual([1, 3]);
});

test('games are trimmed now and then, those that were written to, and again while another process is at it', async () => {
  tell(1);
  await recorder.flush();
  expect(trimmed).toEqual([]);
  for (nowMs = 30_000; nowMs <= 150_000; nowMs += 10_000) await recorder.flush();
  expect(trimmed).toEqual([['demo'], ['demo']]);
});
