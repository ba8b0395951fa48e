import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { systemRandom } from '../kernel/random.js';
import { createRedisClient } from '../redis/client.js';
import type { Metrics } from '../runtime/port.js';
import { eventually } from '../testkit/eventually.js';
import { quietMetrics } from '../testkit/quiet.js';
import { startRedisServer } from '../testkit/redis-server.js';
import { testRedisUrl } from '../testkit/redis.js';
import { expectSameAsModel, idempotencyContract, rateLimiterContract } from './contract.js';
import type { IdempotencyStore, RateLimiter } from './port.js';
import { RedisIdempotencyStore, RedisRateLimiter } from './redis.js';

const clients: Redis[] = [];
const connect = (url: string, protocol: 2 | 3): Redis => {
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    commandTimeout: 500,
    lazyConnect: true,
    protocol,
  });
  redis.on('error', () => undefined); // the tests of outages look at what the drivers answer
  clients.push(redis);
  return redis;
};
afterAll(async () => {
  for (const redis of clients) if (redis.status !== 'end') redis.disconnect();
  await Promise.resolve();
});

/** Each test has keys of its own: the server is shared. */
const limiterUnder = (limiter: RateLimiter, prefix: string): RateLimiter => ({
  take: (key, cost, rule) => limiter.take(prefix + key, cost, rule),
});
const storeUnder = (store: IdempotencyStore, prefix: string): IdempotencyStore => ({
  claim: (scope, key, fingerprint) => store.claim(prefix + scope, key, fingerprint),
  complete: (scope, key, token, answer) => store.complete(prefix + scope, key, token, answer),
  release: (scope, key, token) => store.release(prefix + scope, key, token),
});

/** Time passes on a real server by moving what it stores: expiries, and the arrival times of buckets. */
async function passTime(redis: Redis, pattern: string, ms: number): Promise<void> {
  for (const key of await redis.keys(pattern)) {
    const leftMs = await redis.pttl(key);
    if (leftMs <= ms) {
      await redis.del(key);
      continue;
    }
    if (key.startsWith('rate_limit:')) await redis.set(key, String(Number(await redis.get(key)) - ms));
    await redis.pexpire(key, Math.ceil(leftMs - ms));
  }
}

for (const protocol of [2, 3] as const) {
  const options = async () => {
    const redis = connect(testRedisUrl(), protocol);
    await redis.connect();
    return { redis, clock: systemClock, metrics: quietMetrics, random: systemRandom };
  };
  rateLimiterContract(`redis, RESP${String(protocol)}`, async () => {
    const prefix = randomUUID();
    const deps = await options();
    const advance = (ms: number): Promise<void> => passTime(deps.redis, `rate_limit:{${prefix}*`, ms);
    return {
      store: limiterUnder(new RedisRateLimiter({ ...deps, whileAway: 'limit locally' }), prefix),
      advance,
    };
  });
  idempotencyContract(`redis, RESP${String(protocol)}`, async () => {
    const prefix = randomUUID();
    const deps = await options();
    const advance = (ms: number): Promise<void> => passTime(deps.redis, `idempotency:{*:${prefix}*`, ms);
    return { store: storeUnder(new RedisIdempotencyStore({ ...deps, life: () => 'life' }), prefix), advance };
  });
}

describe('the Lua script', () => {
  test('row 59: decides to the digit as the model does, over its own clock', async () => {
    const redis = connect(testRedisUrl(), 3);
    await redis.connect();
    const { readFileSync } = await import('node:fs');
    const lua = readFileSync(new URL('./gcra-1.lua', import.meta.url), 'utf8');
    const rule = { rate: 700, burst: 30 };
    const key = `rate_limit:{${randomUUID()}}`;
    const steps = [];
    for (let i = 0; i < 400; i += 1) {
      const cost = 1 + ((i * 7) % 9);
      const reply = (await redis.eval(lua, 1, key, cost, rule.rate, rule.burst, 0.001)) as unknown[];
      const [allowed, tatMs, nowMs] = reply.map(Number) as [number, number, number];
      steps.push({ nowMs, tatMs, cost, allowed: allowed === 1 });
    }
    expect(steps.some(({ allowed }) => !allowed)).toBe(true);
    expectSameAsModel(steps, rule);
  });
});

describe('while Redis cannot be reached', () => {
  test('row 39: limits are kept by this process at half of the rule, keys go without, calls are counted, nothing queues; or none is granted, where so made', async () => {
    const server = await startRedisServer();
    const redis = connect(server.url, 3);
    await redis.connect();
    const counted = new Map<string, number>();
    const metrics: Metrics = {
      ...quietMetrics,
      counter: () => ({
        inc: (labels) =>
          void counted.set(labels?.['store'] ?? '', (counted.get(labels?.['store'] ?? '') ?? 0) + 1),
      }),
    };
    const deps = { redis, clock: systemClock, metrics, random: systemRandom };
    const limiter = new RedisRateLimiter({ ...deps, whileAway: 'limit locally' });
    const store = new RedisIdempotencyStore({ ...deps, life: () => 'life' });
    const rule = { rate: 0.001, burst: 10 };
    expect((await limiter.take('a', 1, rule)).remaining).toBe(9);

    const strict = new RedisRateLimiter({ ...deps, metrics: quietMetrics, whileAway: 'refuse' });
    expect((await strict.take('a', 1, rule)).remaining).toBe(8);

    await server.kill();
    await expect(strict.take('a', 1, rule)).rejects.toThrow(OutageError);
    const granted = [];
    for (let i = 0; i < 10; i += 1) granted.push((await limiter.take('a', 1, rule)).allowed);
    expect(granted.filter(Boolean)).toHaveLength(5);
    expect(await store.claim('game', 'key', 'f')).toEqual({ kind: 'unavailable' });
    await store.complete('game', 'key', 'token', { status: 202, body: '{}' });
    await store.release('game', 'key', 'token');
    expect(Object.fromEntries(counted)).toEqual({ rate_limit: 10, idempotency: 3 });

    await server.start();
    await eventually('the shared bucket is asked again', async () => {
      const { remaining } = await limiter.take(randomUUID(), 1, rule);
      return remaining === 9;
    });
    redis.disconnect();
    await eventually('the client has ended', () => redis.status === 'end');
    await server.stop();
  });

  test('row 39: a frozen one is given up when the patience is over; who must count refuses, the others count alone, and it is used again when it thaws', async () => {
    const server = await startRedisServer();
    // The command's own limit is longer than the test may last: only the patience can end the wait.
    const redis = createRedisClient({ url: server.url, commandTimeoutMs: 600_000, patienceMs: 500 });
    const deps = { redis, clock: systemClock, metrics: quietMetrics, random: systemRandom };
    const limiter = new RedisRateLimiter({ ...deps, whileAway: 'limit locally' });
    const strict = limiter.refusing();
    const store = new RedisIdempotencyStore({ ...deps, life: () => 'life' });
    const rule = { rate: 0.001, burst: 10 };
    const isShared = async (): Promise<boolean> =>
      (await strict.take(randomUUID(), 1, rule).catch(() => null))?.remaining === 9;
    await eventually('the shared bucket is asked', isShared);
    server.freeze();
    try {
      expect(await store.claim('game', 'key', 'f')).toEqual({ kind: 'unavailable' });
      expect((await limiter.take('a', 1, rule)).remaining).toBe(4);
      await expect(strict.take('a', 1, rule)).rejects.toThrow(OutageError);
    } finally {
      server.thaw();
    }
    await eventually('the shared bucket is asked again', isShared);
    redis.disconnect();
    await server.stop();
  });
});
