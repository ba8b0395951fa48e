import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startRedisServer, type RedisServer } from '../testkit/redis-server.js';
import { createRedisClient, redisReady, redisScript } from './client.js';

let server: RedisServer;
beforeAll(async () => {
  server = await startRedisServer();
});
afterAll(() => server.stop());

test('row 39: while the server is away commands fail at once, nothing is queued and nothing is sent twice', async () => {
  const errors: Error[] = [];
  const redis = createRedisClient({ url: server.url, onError: (error) => errors.push(error) });
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
  expect(errors.length).toBeGreaterThan(0);
  redis.disconnect();
});

test('a script is called with as many keys as its name says, also on a server that has not seen it', async () => {
  const redis = createRedisClient({ url: server.url });
  await redisReady(redis, 5_000);
  const begin = redisScript(redis, 'board-begin-3');
  expect(await begin(['{k}a', '{k}b', '{k}c'], [2, 1_000])).toBe(1);
  await redis.script('FLUSH');
  expect(await begin(['{k}a', '{k}b', '{k}c'], [2, 1_000])).toBe(0);
  expect(() => begin(['{k}a'], [2, 1_000])).toThrow('takes 3 keys');
  redis.disconnect();
});

test('waiting for a server that does not come ends with an error', async () => {
  const redis = createRedisClient({ url: 'redis://127.0.0.1:1' });
  await expect(redisReady(redis, 100)).rejects.toThrow('not ready');
  redis.disconnect();
});
