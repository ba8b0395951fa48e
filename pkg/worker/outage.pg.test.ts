import { expect, test } from '@jest/globals';
import { DEFAULT_MAX_ATTEMPTS } from '../bus/deliver.js';
import { createPostgresBus } from '../bus/postgres.js';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { systemRandom } from '../kernel/random.js';
import { createDatabase } from '../postgres/database.js';
import { migrate } from '../postgres/migrate.js';
import { countersOf, deliveryOf, lettersOf, prepare, worker, xp } from '../testkit/dispatch-bench.js';
import { eventually } from '../testkit/eventually.js';
import { startPostgresServer } from '../testkit/postgres-server.js';
import { quietLogger } from '../testkit/quiet.js';
import { readSums } from '../testkit/summing-role.js';
import { createDeadLetters } from './dead-letters/postgres.js';

test('row 41: PostgreSQL is killed under work: the role waits, no letter is written, then everything counts once', async () => {
  const server = await startPostgresServer({ fsync: true });
  const db = createDatabase({ url: server.url() });
  try {
    await migrate(db);
    await prepare(db);
    const bus = createPostgresBus({
      db,
      url: server.url(),
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoff: { baseMs: 2, capMs: 50 },
      deadLetters: createDeadLetters({ db, codeVersion: 'test' }),
      clock: systemClock,
      random: systemRandom,
      logger: quietLogger,
    });
    await bus.subscribe('progression', worker(db));
    const acknowledged = new Set<string>();
    const publish = async (n: number): Promise<void> => {
      const event = xp(`e-${String(n)}`, `p-${String(n % 5)}`, 1);
      const { body, gameId, playerId, messageId } = deliveryOf(event);
      await bus.publish([{ body, gameId, playerId, messageId }]);
      acknowledged.add(event.id);
    };
    for (let n = 0; n < 50; n += 1) await publish(n);
    const unsure = Array.from({ length: 20 }, (_, n) => publish(50 + n));
    await server.kill();
    const answers = await Promise.allSettled(unsure);
    // A backend outlives its killed server for a moment, and what it still commits is as good as anything before.
    let next = 70;
    let refusal: unknown = null;
    await eventually('publishing is refused', async () => {
      refusal = await publish(next).catch((error: unknown) => error);
      if (refusal === undefined) next += 1;
      return refusal !== undefined;
    });
    expect(refusal).toBeInstanceOf(OutageError);
    await server.start();
    // As a client would: everything that was not acknowledged is sent again.
    for (const [n, answer] of answers.entries()) if (answer.status === 'rejected') await publish(50 + n);
    await publish(next);
    await eventually('all is settled', async () => (await bus.lag('progression')).waiting === 0);
    expect(acknowledged.size).toBe(next + 1);
    const perPlayer = [0, 1, 2, 3, 4].map((player) => Math.floor((next - player) / 5) + 1);
    expect(await readSums(db)).toBe(perPlayer.map((n, player) => `p-${player}=${n}/${n}`).join(' '));
    expect(await lettersOf(db)).toEqual([]);
    await countersOf(db);
    await bus.close();
  } finally {
    await db.close();
    await server.stop();
  }
});
