import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { OutageError } from '../kernel/errors.js';
import { eventually } from '../testkit/eventually.js';
import { startRedisServer, type RedisServer } from '../testkit/redis-server.js';
import { createRedisClient, redisReady, redisScript, type RedisClientOptions } from './client.js';
import { serverLife } from './server-life.js';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());

const clients: Redis[] = [];
afterEach(() => {
  for (const redis of clients.splice(0)) redis.disconnect();
});
const connect = (options: RedisClientOptions): Redis => {
  const redis = createRedisClient(options);
  clients.push(redis);
  return redis;
};

test('row 39: while the server is away commands fail at once, nothing is queued and nothing is sent twice', async () => {
  const redis = connect({ url: server.url });
  await redisReady(redis, 5_000);
  await redis.set('n', '1');
  const blocked = redis.blpop('nothing', 0); // in flight when the server dies
  const ended = expect(blocked).rejects.toThrow();
  await server.kill();
  await ended;
  await expect(redis.incr('n')).rejects.toThrow();
  await server.start();
  await redisReady(redis, 10_000);
  expect(await redis.get('n')).toBeNull();
});

test('row 39: on a frozen server what waits fails when the patience is over and what comes after at once; thawed it is used again', async () => {
  const attempts: Error[] = [];
  const redis = connect({
    url: server.url,
    commandTimeoutMs: 600_000, // only the patience can end the wait
    patienceMs: 300,
    onError: (error) => attempts.push(error),
  });
  await eventually('it answers', async () => (await redis.set('n', '1').catch(() => '')) === 'OK');
  server.freeze();
  try {
    await expect(redis.get('n')).rejects.toThrow();
    for (let i = 0; i < 3; i += 1) await expect(redis.get('n')).rejects.toThrow("Stream isn't writeable");
    expect(attempts).toContainEqual(expect.any(OutageError));
  } finally {
    server.thaw();
  }
  await eventually('it answers again', async () => (await redis.get('n').catch(() => '')) === '1');
});

test('row 39: however often a frozen server leaves the greeting of a new connection unanswered, thawed it is used again', async () => {
  const attempts: Error[] = [];
  const redis = connect({
    url: server.url,
    commandTimeoutMs: 300,
    patienceMs: 200,
    onError: (error) => attempts.push(error),
  });
  await redisReady(redis, 60_000);
  server.freeze();
  try {
    await eventually('it was greeted in vain more than once', () => attempts.length >= 3);
    await expect(redis.get('n')).rejects.toThrow("Stream isn't writeable");
  } finally {
    server.thaw();
  }
  await redisReady(redis, 60_000);
});

test('a script is called with as many keys as its name says, also on a server that has not seen it', async () => {
  const redis = connect({ url: server.url });
  await redisReady(redis, 5_000);
  const begin = redisScript(redis, 'board-begin-3');
  expect(await begin(['{k}a', '{k}b', '{k}c'], ['life', 2, 1_000])).toMatch(/^\d+\.\d+$/);
  await redis.script('FLUSH');
  expect(await begin(['{k}a', '{k}b', '{k}c'], ['life', 2, 1_000])).toBeNull();
  expect(() => begin(['{k}a'], [2, 1_000])).toThrow('takes 3 keys');
});

test('waiting for a server that does not come ends with an error, and each attempt is told', async () => {
  const errors: Error[] = [];
  const redis = connect({ url: 'redis://127.0.0.1:1', onError: (error) => errors.push(error) });
  await expect(redisReady(redis, 100)).rejects.toThrow('not ready');
  expect(errors.length).toBeGreaterThan(0);
});

test('the life of a server is another one after it started again, and unknown while it is away', async () => {
  const redis = connect({ url: server.url });
  await redisReady(redis, 5_000);
  const life = serverLife(redis);
  const first = await life();
  expect(first).toMatch(/^[0-9a-f]{40}$/);
  expect(await life()).toBe(first);
  await server.kill();
  await new Promise((resolve) => (redis.status === 'ready' ? redis.once('close', resolve) : resolve(null)));
  expect(await life()).toBeNull();
  await server.start();
  await redisReady(redis, 10_000);
  expect(await life()).toMatch(/^[0-9a-f]{40}$/);
  expect(await life()).not.toBe(first);
});
