import { expect } from '@jest/globals';
import { deliver } from '../../bus/deliver.js';
import type { BatchHandler } from '../../bus/port.js';
import type { AdmittedEvent } from '../../contract/event.js';
import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import { drive } from '../../testkit/dispatch-bench.js';
import { eventually } from '../../testkit/eventually.js';
import { quietLogger, quietMetrics } from '../../testkit/quiet.js';
import { createDeadLetters } from '../dead-letters/postgres.js';
import { recordAction } from '../dead-letters/queries.postgres.js';
import type { ConsumeOptions } from './consume.js';
import { redriveLetters } from './postgres.js';

export const WHY = { actor: 'ada', why: 'the rule is mended' };

/** What a worker of a role (progression, unless named) consumes resubmissions with. */
export const consumer = (
  db: Database,
  handler: BatchHandler,
  more: Partial<ConsumeOptions> & { readonly role?: RoleName } = {},
): ConsumeOptions => {
  const deadLetters = createDeadLetters({ db, codeVersion: 'test' });
  return {
    db,
    role: 'progression',
    handler,
    deliver: (batch, by, sink, until) =>
      deliver(batch, by, {
        role: more.role ?? 'progression',
        maxAttempts: 2,
        backoff: { baseMs: 1, capMs: 2 },
        deadLetters: sink,
        clock: systemClock,
        random: systemRandom,
        logger: quietLogger,
        signal: until,
      }),
    deadLetters,
    clock: systemClock,
    logger: quietLogger,
    metrics: quietMetrics,
    idleMs: 5,
    ...more,
  };
};

/** Every event becomes a letter of progression, as a wrong rule would have it. */
export const dieAll = (db: Database, events: readonly AdmittedEvent[]): Promise<void> =>
  drive(
    db,
    async (batch) => batch.map(() => ({ kind: 'dead', reason: 'xp_overflow', detail: 'too much' })),
    events,
  );

export const idsOf = async (db: Database): Promise<number[]> =>
  (await db.query<{ id: number }>('SELECT id FROM dead_letters ORDER BY id')).map(({ id }) => id);

/** @returns the id of the action */
export const redriveAll = async (db: Database): Promise<number> => {
  const action = await recordAction(db, 'redrive', WHY, {});
  expect(await redriveLetters(db, await idsOf(db), action)).toBeGreaterThan(0);
  return action;
};

const WAIT_MS = 120_000;

/** Waits for what a busy machine takes long for. */
export const patiently = (what: string, holds: () => boolean | Promise<boolean>): Promise<void> =>
  eventually(what, holds, WAIT_MS);
