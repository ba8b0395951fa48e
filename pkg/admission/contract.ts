import { beforeEach, describe, expect, test } from '@jest/globals';
import { gcraDecision, gcraStep } from './gcra.js';
import { ANSWER_TTL_MS, LEASE_MS } from './lease.js';
import type { IdempotencyStore, RateLimiter, RateRule } from './port.js';

/** A driver under test, with time in the test's hand: real servers move their stored times instead. */
export interface UnderTest<Store> {
  readonly store: Store;
  advance(ms: number): Promise<void>;
}

/** What every driver of RateLimiter promises. `make` gives an empty one. */
export function rateLimiterContract(driver: string, make: () => Promise<UnderTest<RateLimiter>>): void {
  describe(`rate limiter on ${driver}`, () => {
    const rule: RateRule = { rate: 2, burst: 10 };
    let limiter: RateLimiter;
    let advance: (ms: number) => Promise<void>;
    beforeEach(async () => {
      ({ store: limiter, advance } = await make());
    });

    test('row 59: grants the burst at once, then refuses with the seconds until the cost fits', async () => {
      expect(await limiter.take('a', 10, rule)).toMatchObject({ allowed: true, remaining: 0 });
      const refused = await limiter.take('a', 4, rule);
      expect(refused.allowed).toBe(false);
      expect(refused.retryAfterSeconds).toBeGreaterThan(1.5);
      expect(refused.retryAfterSeconds).toBeLessThanOrEqual(2);
    });

    test('row 59: the cost passes once the told seconds are over', async () => {
      await limiter.take('a', 10, rule);
      const refused = await limiter.take('a', 4, rule);
      await advance(refused.retryAfterSeconds * 1000 + 1);
      expect((await limiter.take('a', 4, rule)).allowed).toBe(true);
    });

    test('a refusal takes nothing', async () => {
      await limiter.take('a', 8, rule);
      await limiter.take('a', 5, rule);
      expect((await limiter.take('a', 2, rule)).allowed).toBe(true);
    });

    test('keys have buckets of their own', async () => {
      await limiter.take('a', 10, rule);
      expect((await limiter.take('b', 10, rule)).allowed).toBe(true);
    });

    test('a cost above the burst passes on a full bucket and leaves a debt', async () => {
      expect((await limiter.take('a', 20, rule)).allowed).toBe(true);
      const refused = await limiter.take('a', 1, rule);
      expect(refused.allowed).toBe(false);
      expect(refused.retryAfterSeconds).toBeGreaterThan(5);
      expect(refused.resetSeconds).toBeGreaterThan(9);
      await advance(20_000);
      expect(await limiter.take('a', 20, rule)).toMatchObject({ allowed: true, remaining: 0 });
    });

    test('parallel takers share one bucket exactly', async () => {
      const slow: RateRule = { rate: 0.001, burst: 25 };
      const all = await Promise.all(Array.from({ length: 60 }, () => limiter.take('a', 1, slow)));
      expect(all.filter((one) => one.allowed)).toHaveLength(25);
    });
  });
}

/** What every driver of IdempotencyStore promises. */
export function idempotencyContract(driver: string, make: () => Promise<UnderTest<IdempotencyStore>>): void {
  describe(`idempotency store on ${driver}`, () => {
    const answer = { status: 202, body: '{"accepted":1,"name":"Zoë 🎮"}' };
    let store: IdempotencyStore;
    let advance: (ms: number) => Promise<void>;
    beforeEach(async () => {
      ({ store, advance } = await make());
    });
    const claimed = async (fingerprint = 'f'): Promise<string> => {
      const claim = await store.claim('game', 'key', fingerprint);
      if (claim.kind !== 'claimed') throw new Error(`expected a claim, got ${claim.kind}`);
      return claim.token;
    };

    test('row 9: the first answer is given again, to a hundred repeats in parallel', async () => {
      await store.complete('game', 'key', await claimed(), answer);
      const repeats = await Promise.all(Array.from({ length: 100 }, () => store.claim('game', 'key', 'f')));
      for (const repeat of repeats) expect(repeat).toEqual({ kind: 'answered', answer });
    });

    test('row 9: of a hundred parallel claims exactly one is granted', async () => {
      const claims = await Promise.all(Array.from({ length: 100 }, () => store.claim('game', 'key', 'f')));
      expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
      expect(claims.filter(({ kind }) => kind === 'in-progress')).toHaveLength(99);
    });

    test('row 11: another fingerprint is refused, while the first runs and after its answer', async () => {
      const token = await claimed();
      expect(await store.claim('game', 'key', 'other')).toEqual({ kind: 'reused' });
      await store.complete('game', 'key', token, answer);
      expect(await store.claim('game', 'key', 'other')).toEqual({ kind: 'reused' });
    });

    test('row 11: of two bodies at once under one key one is claimed and the other refused', async () => {
      const two = await Promise.all([store.claim('game', 'key', 'f'), store.claim('game', 'key', 'g')]);
      expect(two.map(({ kind }) => kind).sort()).toEqual(['claimed', 'reused']);
    });

    test('row 12: a repeat while the first runs learns how long the lease lasts', async () => {
      await claimed();
      const repeat = await store.claim('game', 'key', 'f');
      if (repeat.kind !== 'in-progress') throw new Error(repeat.kind);
      expect(repeat.retryAfterSeconds).toBeGreaterThan(20);
      expect(repeat.retryAfterSeconds).toBeLessThanOrEqual(LEASE_MS / 1000);
    });

    test('a lease that ran out is free again, and its old holder can no longer answer', async () => {
      const lost = await claimed();
      await advance(LEASE_MS + 1);
      const held = await claimed('other');
      await store.complete('game', 'key', lost, answer);
      await store.release('game', 'key', lost);
      expect((await store.claim('game', 'key', 'other')).kind).toBe('in-progress');
      await store.complete('game', 'key', held, { status: 400, body: '{}' });
      expect(await store.claim('game', 'key', 'other')).toMatchObject({ answer: { status: 400 } });
    });

    test('a released key is free for anything; an answered one cannot be released', async () => {
      await store.release('game', 'key', await claimed());
      const token = await claimed('other');
      await store.complete('game', 'key', token, answer);
      await store.release('game', 'key', token);
      expect((await store.claim('game', 'key', 'other')).kind).toBe('answered');
    });

    test('answers live 24 h', async () => {
      await store.complete('game', 'key', await claimed(), answer);
      await advance(ANSWER_TTL_MS - 60_000);
      expect((await store.claim('game', 'key', 'f')).kind).toBe('answered');
      await advance(60_001);
      expect((await store.claim('game', 'key', 'f')).kind).toBe('claimed');
    });

    test('a scope and a key that share a border are not another scope and key', async () => {
      expect((await store.claim('player:g:p', 'save:1', 'f')).kind).toBe('claimed');
      expect((await store.claim('player:g:p:save', '1', 'f')).kind).toBe('claimed');
    });

    test('scopes do not see each other', async () => {
      await claimed();
      expect((await store.claim('other game', 'key', 'f')).kind).toBe('claimed');
    });
  });
}

/** Replays a driver's own times through gcra.ts: whatever it decided, the model decides too. */
export function expectSameAsModel(
  steps: readonly { nowMs: number; tatMs: number; cost: number; allowed: boolean }[],
  rule: RateRule,
): void {
  let tatMs = 0;
  for (const { nowMs, cost, allowed, tatMs: after } of steps) {
    const step = gcraStep(tatMs, nowMs, cost, rule);
    expect({ allowed, after }).toEqual({ allowed: step.allowed, after: step.tatMs });
    expect(gcraDecision(step, nowMs, cost, rule).allowed).toBe(allowed);
    tatMs = step.tatMs;
  }
}
