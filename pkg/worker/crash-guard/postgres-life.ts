import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import { holdSession, type SessionHold } from '../../postgres/session-hold.js';
import type { Logger } from '../../runtime/port.js';

/** One life of a process, as the others see it: while its session is broken they take it for dead. */
export interface Life extends SessionHold {
  /** A signed 64-bit number in decimal. Nobody had it before, nobody has it again. */
  readonly incarnation: string;
}

export interface LifeOptions {
  readonly url: string;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * Writes down a new incarnation and holds its advisory lock until the process ends, however it ends. What was counted against a
 * living process while its session was broken is taken back.
 *
 * @throws whatever `pg` throws when the server cannot be reached
 */
export async function openLife({ url, clock, random, logger }: LifeOptions): Promise<Life> {
  const incarnation = random.bytes(8).readBigInt64BE().toString();
  const hold = await holdSession({
    url,
    name: 'life',
    clock,
    logger,
    take: async (client, isFirst) => {
      await client.query('SELECT pg_advisory_lock($1::bigint)', [incarnation]);
      await client.query(
        'INSERT INTO worker_lives (incarnation) VALUES ($1::bigint) ON CONFLICT DO NOTHING',
        [incarnation],
      );
      // The others may have taken this process for dead.
      if (!isFirst) await client.query(TAKE_BACK, [incarnation]);
    },
  });
  return {
    incarnation,
    get isHeld() {
      return hold.isHeld;
    },
    close: () => hold.close(),
  };
}

const TAKE_BACK =
  'UPDATE crash_suspects SET crashes = array_remove(crashes, $1::bigint) WHERE $1::bigint = ANY (crashes)';
