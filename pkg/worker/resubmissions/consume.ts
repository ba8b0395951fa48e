import type { DeadLetterSink, Delivery } from '../../bus/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import type { Logger, Metrics } from '../../runtime/port.js';
import { closeStale } from '../dead-letters/postgres.js';
import {
  closeResubmissions,
  holdRole,
  isAnythingToDo,
  pendingOf,
  purgeClosed,
  type Closed,
} from './postgres.js';

export interface ConsumeOptions {
  readonly db: Database;
  readonly role: RoleName;
  /** Hands a batch to the role's handler as its bus would: attempts, pauses, letters. One flag per delivery: settled or not. */
  readonly deliver: (
    batch: readonly Delivery[],
    deadLetters: DeadLetterSink,
    signal: AbortSignal,
  ) => Promise<readonly boolean[]>;
  readonly deadLetters: DeadLetterSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly idleMs?: number;
}

const BATCH_MAX = 200;
const IDLE_MS = 1_000;
/** Rare, and harmless while it lasts: see closeStale. */
const CLOSE_STALE_EVERY_MS = 2_000;
const PURGE_EVERY_MS = 60_000;

/**
 * Feeds a role with its resubmissions, beside its bus and through the same handler, until the signal. Of all workers of a
 * role one does it at a time. A worker that is killed after an event took effect and before its resubmission was closed
 * leaves it pending: the next one delivers it again, and the inbox knows it.
 */
export async function consumeResubmissions(options: ConsumeOptions, signal: AbortSignal): Promise<void> {
  const { db, role, clock, logger } = options;
  const count = options.metrics.counter(
    'fairtally_resubmissions_total',
    'Resubmissions by what became of them',
    ['role', 'result'],
  );
  const isStaleDue = every(CLOSE_STALE_EVERY_MS, clock);
  const isPurgeDue = every(PURGE_EVERY_MS, clock);
  while (!signal.aborted) {
    let taken = 0;
    try {
      const { isPending, isOpen } = await isAnythingToDo(db, role);
      if (isOpen && isStaleDue()) await closeStale(db, role);
      if (isPending) {
        const closed = await consumeBatch(options, signal);
        for (const result of RESULTS) if (closed[result] > 0) count.inc({ role, result }, closed[result]);
        taken = closed.done + closed.skipped + closed.failed;
      }
      if (isPurgeDue()) await purgeClosed(db);
    } catch (error) {
      logger.warn({ role, err: error }, 'resubmissions cannot be read: the role tries again');
    }
    if (taken === 0) await clock.sleep(options.idleMs ?? IDLE_MS, signal);
  }
}

/** Says yes once in each period. */
function every(periodMs: number, clock: Clock): () => boolean {
  let dueAtMs = clock.monotonicMs() + periodMs;
  return () => {
    if (clock.monotonicMs() < dueAtMs) return false;
    dueAtMs = clock.monotonicMs() + periodMs;
    return true;
  };
}

const RESULTS = ['done', 'skipped', 'failed'] as const;
const NOTHING: Closed = { done: 0, skipped: 0, failed: 0 };

/**
 * One batch: the transaction holds the role, and closes what was settled. The role's own transactions run beside it, so
 * what it closes has taken effect for good. Should it be ended meanwhile, the same batch comes again.
 */
export function consumeBatch(options: ConsumeOptions, signal: AbortSignal): Promise<Closed> {
  const { db, role, deliver, deadLetters } = options;
  return db.transaction(async (sql) => {
    if (!(await holdRole(sql, role))) return NOTHING;
    const batch = await pendingOf(sql, role, BATCH_MAX);
    if (batch.length === 0) return NOTHING;
    const buried = new Set<string>();
    const watched: DeadLetterSink = {
      put: async (to, delivery, reason, detail) => {
        await deadLetters.put(to, delivery, reason, detail);
        buried.add(delivery.messageId);
      },
    };
    const settled = await deliver(
      batch.map(({ delivery }) => delivery),
      watched,
      signal,
    );
    const closing = batch.filter((_, index) => settled[index] === true);
    const failed = closing.filter(({ delivery }) => buried.has(delivery.messageId));
    if (closing.length === 0) return NOTHING;
    return closeResubmissions(
      sql,
      closing.map(({ id }) => id),
      failed.map(({ id }) => id),
    );
  });
}
