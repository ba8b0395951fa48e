import { describe, expect, test } from '@jest/globals';
import { systemRandom } from '../kernel/random.js';
import type { Clock } from '../kernel/clock.js';
import { idempotencyContract, rateLimiterContract } from './contract.js';
import { LEASE_MS } from './lease.js';
import { MemoryIdempotencyStore, MemoryRateLimiter } from './memory.js';

function handClock(): {
  clock: Clock;
  advance: (ms: number) => Promise<void>;
  stepWall: (ms: number) => void;
} {
  let wallMs = 1_795_176_000_000;
  let monotonicMs = 1_000;
  return {
    clock: { now: () => wallMs, monotonicMs: () => monotonicMs, sleep: () => Promise.resolve() },
    advance: (ms) => {
      wallMs += ms;
      monotonicMs += ms;
      return Promise.resolve();
    },
    stepWall: (ms) => {
      wallMs += ms;
    },
  };
}

rateLimiterContract('memory', () => {
  const { clock, advance } = handClock();
  return Promise.resolve({ store: new MemoryRateLimiter({ clock }), advance });
});

idempotencyContract('memory', () => {
  const { clock, advance } = handClock();
  return Promise.resolve({ store: new MemoryIdempotencyStore({ clock, random: systemRandom }), advance });
});

describe('the memory of a process', () => {
  test('buckets that are full again are dropped', async () => {
    const { clock, advance } = handClock();
    const limiter = new MemoryRateLimiter({ clock });
    for (let i = 0; i < 100; i += 1) limiter.take(`key ${String(i)}`, 1, { rate: 1, burst: 5 });
    await advance(1_001);
    for (let i = 0; i < 40; i += 1) limiter.take('busy', 1, { rate: 1000, burst: 1000 });
    expect(limiter.size).toBe(1);
  });

  test('buckets are bounded whatever is sent', () => {
    const { clock } = handClock();
    const limiter = new MemoryRateLimiter({ clock, maxBuckets: 50 });
    for (let i = 0; i < 1000; i += 1) limiter.take(`key ${String(i)}`, 1, { rate: 0.01, burst: 5 });
    expect(limiter.size).toBe(50);
  });

  test('kept answers are bounded in number and in size', async () => {
    const { clock } = handClock();
    const store = new MemoryIdempotencyStore({
      clock,
      random: systemRandom,
      maxKeys: 50,
      maxCharacters: 10_000,
    });
    for (let i = 0; i < 200; i += 1) {
      const key = `k${String(i)}`;
      const claim = await store.claim('game', key, 'f');
      if (claim.kind === 'claimed')
        await store.complete('game', key, claim.token, { status: 202, body: 'x'.repeat(1000) });
    }
    expect(store.size).toBeLessThan(10);
    for (let i = 0; i < 200; i += 1) await store.claim('game', `small ${String(i)}`, 'f');
    expect(store.size).toBe(50);
  });

  test('row 16: a jump of the wall clock by a day moves no lease', async () => {
    const { clock, advance, stepWall } = handClock();
    const store = new MemoryIdempotencyStore({ clock, random: systemRandom });
    await store.claim('game', 'key', 'f');
    stepWall(86_400_000);
    expect((await store.claim('game', 'key', 'f')).kind).toBe('in-progress');
    stepWall(-2 * 86_400_000);
    await advance(LEASE_MS + 1);
    expect((await store.claim('game', 'key', 'f')).kind).toBe('claimed');
  });
});
