import type { Redis } from 'ioredis';
import type { Clock } from '../kernel/clock.js';
import { Patience } from './patience.js';

const ASK_EVERY_MS = 250;

/**
 * Breaks a connection on which the server has gone silent: frozen, or gone without a word. It is asked something all the time,
 * so that no request has to be the one that finds out; those that wait for an answer fail when the patience is over, and all
 * others at once, until the server has answered the greeting of a new connection.
 */
export function breakWhenSilent(redis: Redis, patienceMs: number, clock: Clock): void {
  redis.on('ready', () => {
    const { stream } = redis;
    const patience = new Patience(patienceMs, clock);
    const closed = new AbortController();
    stream.on('data', () => patience.heard()).once('close', () => closed.abort());
    void askOn(redis, patience, clock, closed.signal).catch((silence: unknown) =>
      stream.destroy(silence as Error),
    );
  });
}

/** @throws OutageError when nothing at all was heard for as long as the patience lasts */
async function askOn(redis: Redis, patience: Patience, clock: Clock, closed: AbortSignal): Promise<void> {
  while (!closed.aborted) {
    await patience.hear(redis.ping().catch(acceptRefusal));
    await clock.sleep(ASK_EVERY_MS, closed);
  }
}

/** A refusal is an answer too; that the connection broke, or that the client gave the command up, is none. */
function acceptRefusal(error: unknown): void {
  if (!(error instanceof Error && error.name === 'ReplyError')) throw error;
}
