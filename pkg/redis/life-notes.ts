import type { Redis } from 'ioredis';
import type { LifeNotes } from '../postgres/port.js';

/** A database that nobody has looked at for longer is not told from a restored one. */
const KEPT_SECONDS = 400 * 86_400;

/** Notes in Redis how far each life of a database was seen. */
export const redisLifeNotes = (redis: Redis): LifeNotes => ({
  furthest: async (life) => Number((await redis.get(nameOf(life))) ?? 0),
  note: async ({ life, beats }) => {
    await redis.set(nameOf(life), beats, 'EX', KEPT_SECONDS);
  },
});

const nameOf = (life: string): string => `life:{${life}}`;
