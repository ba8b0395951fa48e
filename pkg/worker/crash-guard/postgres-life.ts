import pg from 'pg';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import { SERVER_KEEPS_ALIVE } from '../../postgres/database.js';
import type { Logger } from '../../runtime/port.js';

/** One life of a process, as the others see it. */
export interface Life {
  /** A signed 64-bit number in decimal. Nobody had it before, nobody has it again. */
  readonly incarnation: string;
  /** false while the connection is broken: to the others this process is dead. */
  readonly isHeld: boolean;
  close(): Promise<void>;
}

export interface LifeOptions {
  readonly url: string;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Random;
  readonly logger: Logger;
}

const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 5_000;
const BEAT_EVERY_MS = 5_000;
const AGAIN_AFTER_MS = 500;

/**
 * Writes down a new incarnation and holds its advisory lock on a connection of its own until the process ends, however it ends: the
 * server lets go of it then. A connection that breaks under a living process is opened again, and what was counted against
 * it meanwhile is taken back. The URL must lead to the server itself or a pooler in session mode.
 *
 * @throws whatever `pg` throws when the server cannot be reached
 */
export async function openLife(options: LifeOptions): Promise<Life> {
  const { clock, random, logger } = options;
  const incarnation = random.bytes(8).readBigInt64BE().toString();
  const closing = new AbortController();
  let held: Held | null = await holdLock(options.url, incarnation);

  const regain = async (): Promise<void> => {
    held = await holdLock(options.url, incarnation);
    // The others may have taken this process for dead.
    await held.client.query(
      'UPDATE crash_suspects SET crashes = array_remove(crashes, $1::bigint) WHERE $1::bigint = ANY (crashes)',
      [incarnation],
    );
  };
  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const wake = held === null ? closing.signal : AbortSignal.any([closing.signal, held.lost.signal]);
      await clock.sleep(held === null ? AGAIN_AFTER_MS : BEAT_EVERY_MS, wake);
      if (closing.signal.aborted) break;
      try {
        if (held === null) await regain();
        else await held.client.query('SELECT 1');
      } catch (error) {
        logger.warn({ err: error }, 'the sign of life of this process is lost: it is given again');
        end(held);
        held = null;
      }
    }
    end(held);
  };
  const ended = run();
  return {
    incarnation,
    get isHeld() {
      return held !== null && !held.lost.signal.aborted;
    },
    close: () => {
      closing.abort();
      return ended;
    },
  };
}

interface Held {
  readonly client: pg.Client;
  readonly lost: AbortController;
}

async function holdLock(url: string, incarnation: string): Promise<Held> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    options: SERVER_KEEPS_ALIVE,
    application_name: 'fairtally life',
  });
  const held = { client, lost: new AbortController() };
  client.on('error', () => held.lost.abort());
  client.on('end', () => held.lost.abort());
  try {
    await client.connect();
    await client.query('SELECT pg_advisory_lock($1::bigint)', [incarnation]);
    await client.query('INSERT INTO worker_lives (incarnation) VALUES ($1::bigint) ON CONFLICT DO NOTHING', [
      incarnation,
    ]);
    return held;
  } catch (error) {
    end(held);
    throw error;
  }
}

/** Nobody waits for the farewell of a server that may be silent. */
function end(held: Held | null): void {
  held?.client.end().catch(() => undefined); // the connection is gone either way
}
