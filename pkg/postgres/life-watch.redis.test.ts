import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { createRedisClient, redisReady } from '../redis/client.js';
import { redisLifeNotes } from '../redis/life-notes.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { testRedisUrl } from '../testkit/redis.js';
import { beginLife, readLife } from './life.js';
import { LifeWatch } from './life-watch.js';
import type { LifeNotes } from './port.js';

let server: TestDatabase;
let redis: Redis;
beforeAll(async () => {
  server = await testDatabase();
  redis = createRedisClient({ url: testRedisUrl() });
  await redisReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.close();
});
beforeEach(async () => {
  await beginLife(server.db, null);
  told.length = 0;
});

const told: string[] = [];
const logger = { ...quietLogger, error: (_: object, text: string) => void told.push(text) };
const watch = (notes: LifeNotes | null = redisLifeNotes(redis)): LifeWatch =>
  new LifeWatch({ db: server.db, notes, logger });
/** As a restore does it: the table is what it was. */
const backup = async (): Promise<() => Promise<void>> => {
  const [row] = await server.db.query<{ life: string; beats: number }>(
    'SELECT life, beats FROM database_life',
  );
  return async () => {
    await server.db.query('UPDATE database_life SET life = $1, beats = $2', [row?.life, row?.beats]);
  };
};

test('processes that start, run and start again leave the life as it is', async () => {
  const life = await readLife(server.db);
  const watches = [watch(), watch(), watch(null)];
  for (let round = 0; round < 3; round += 1)
    expect(await Promise.all(watches.map((one) => one.look()))).toEqual([false, false, false]);
  await watch().look();
  expect(watches.map((one) => one.known())).toEqual([life, life, life]);
  expect(told).toEqual([]);
});

test('a database that was set back begins another life, one for all who find it so at once', async () => {
  await watch().look();
  const restore = await backup();
  const life = await readLife(server.db);
  await watch().look();
  await restore();
  const starting = [watch(), watch(), watch()];
  expect(await Promise.all(starting.map((one) => one.look()))).toEqual([false, false, false]);
  await Promise.all(starting.map((one) => one.look())); // who looked first may have been found out by the next
  const begun = await readLife(server.db);
  expect(begun).not.toBe(life);
  expect(starting.map((one) => one.known())).toEqual([begun, begun, begun]);
  expect(told.length).toBeGreaterThan(0);
  await restore(); // the same backup, once more
  const again = watch();
  await again.look();
  expect([life, begun]).not.toContain(again.known());
});

test('a process that runs learns of another life, begun by hand or found by itself', async () => {
  const running = watch();
  await running.look();
  await beginLife(server.db, null);
  expect(await running.look()).toBe(true);
  const restore = await backup();
  await running.look();
  const alone = watch(null);
  await alone.look();
  await restore();
  expect(await alone.look()).toBe(true);
  expect(await running.look()).toBe(true);
});

test('while the notes cannot be asked nothing is known, and from the first answer on all is', async () => {
  let isAway = true;
  const kept = redisLifeNotes(redis);
  const notes: LifeNotes = {
    furthest: (life) => (isAway ? Promise.reject(new Error('away')) : kept.furthest(life)),
    note: (beat) => kept.note(beat),
  };
  const waiting = watch(notes);
  await waiting.look();
  expect(waiting.known()).toBeNull();
  isAway = false;
  await waiting.look();
  expect(waiting.known()).toBe(await readLife(server.db));
  isAway = true;
  await waiting.look();
  expect(waiting.known()).not.toBeNull();
});
