import pg from 'pg';
import type { Clock } from '../kernel/clock.js';
import type { Logger } from '../runtime/port.js';
import { withSession } from './database.js';

/** What a process holds in a session of its own, such as an advisory lock: however the process ends, the server lets go of it. */
export interface SessionHold {
  /** false while the connection is broken: to the others this process holds nothing. */
  readonly isHeld: boolean;
  close(): Promise<void>;
}

export interface SessionHoldOptions {
  /** Leads to the server itself or a pooler in session mode: what is held lives in the session. */
  readonly url: string;
  /** Shown in pg_stat_activity and in the log. */
  readonly name: string;
  /** Takes what is to be held, on every new session; on all but the first it may have been another's meanwhile. */
  readonly take: (client: Pick<pg.Client, 'query'>, isFirst: boolean) => Promise<void>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Logger;
}

const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 5_000;
/** Sooner than the server gives a silent host up (SERVER_KEEPS_ALIVE), so that a loss is known here first. */
const BEAT_EVERY_MS = 5_000;
const AGAIN_AFTER_MS = 500;

/**
 * Holds something in a session until it is closed. A session that breaks under a living process is opened again.
 *
 * @throws whatever `pg` or `take` throws the first time
 */
export async function holdSession(options: SessionHoldOptions): Promise<SessionHold> {
  const { name, clock, logger } = options;
  const closing = new AbortController();
  let session: Session | null = await openSession(options, true);
  const run = async (): Promise<void> => {
    while (!closing.signal.aborted) {
      const wake = session === null ? closing.signal : AbortSignal.any([closing.signal, session.lost.signal]);
      await clock.sleep(session === null ? AGAIN_AFTER_MS : BEAT_EVERY_MS, wake);
      if (closing.signal.aborted) break;
      try {
        if (session === null) session = await openSession(options, false);
        else await session.client.query('SELECT 1');
      } catch (error) {
        logger.warn(
          { err: error, hold: name },
          'a session that this process holds is lost: it is opened again',
        );
        end(session);
        session = null;
      }
    }
    end(session);
  };
  const ended = run();
  return {
    get isHeld() {
      return session !== null && !session.lost.signal.aborted;
    },
    close: () => {
      closing.abort();
      return ended;
    },
  };
}

interface Session {
  readonly client: pg.Client;
  readonly lost: AbortController;
}

async function openSession({ url, name, take }: SessionHoldOptions, isFirst: boolean): Promise<Session> {
  const client = new pg.Client({
    connectionString: withSession(url, 'fairtally_worker'),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
    application_name: `fairtally ${name}`,
  });
  const session = { client, lost: new AbortController() };
  client.on('error', () => session.lost.abort());
  client.on('end', () => session.lost.abort());
  try {
    await client.connect();
    await take(client, isFirst);
    return session;
  } catch (error) {
    end(session);
    throw error;
  }
}

/** Nobody waits for the farewell of a server that may be silent. */
function end(session: Session | null): void {
  session?.client.end().catch(() => undefined); // the connection is gone either way
}
