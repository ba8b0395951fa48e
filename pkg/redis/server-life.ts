import type { Redis } from 'ioredis';
import type { KnownLife } from '../postgres/port.js';

/** What INFO tells of the server at the other end. */
export type ServerInfo = ReadonlyMap<string, string>;

/**
 * The `run_id` of the server that a client is connected to now: another one after each start of a server, and after a
 * failover. null while the client is not connected or the server does not tell. What is sent without waiting for anything
 * else reaches the server of that life or none: commands in flight fail when a connection ends.
 */
export type ServerLife = () => Promise<string | null>;

/** Asks once per connection, at its start; `onInfo` sees each answer. An answer that failed is asked for again when needed. */
export function serverLife(redis: Redis, onInfo?: (info: ServerInfo) => void): ServerLife {
  let known: string | null = null;
  let asking: Promise<string | null> | null = null;
  const ask = async (): Promise<string | null> => {
    try {
      const info = infoOf(await redis.info());
      known = info.get('run_id') ?? null;
      onInfo?.(info);
    } catch {
      known = null; // whoever needs it is told that it is not known
    } finally {
      asking = null;
    }
    return known;
  };
  const life: ServerLife = () => {
    if (known !== null || redis.status !== 'ready') return Promise.resolve(known);
    asking ??= ask();
    return asking;
  };
  redis.on('close', () => {
    known = null;
  });
  redis.on('ready', () => void life());
  if (redis.status === 'ready') void life();
  return life;
}

/** The life of a view: of the server that holds it and of the database that it shows. Where one of them is another, nothing stands. */
export const lifeOfViews =
  (server: ServerLife, database: KnownLife): ServerLife =>
  async () => {
    const [of, shown] = [await server(), database()];
    return of === null || shown === null ? null : `${of}.${shown}`;
  };

const infoOf = (text: string): ServerInfo =>
  new Map(
    text.split('\r\n').flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon === -1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)]];
    }),
  );

/** Whether a server forgets keys by itself when its memory is full. */
export const forgetsWhenFull = (info: ServerInfo): boolean =>
  (info.get('maxmemory') ?? '0') !== '0' && info.get('maxmemory_policy') !== 'noeviction';
