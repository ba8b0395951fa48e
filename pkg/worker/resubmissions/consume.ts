import type { BatchHandler, DeadLetterSink, Delivery } from '../../bus/port.js';
import type { Clock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import { isHeldUp } from '../../kernel/outcome.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { Logger, Metrics } from '../../runtime/port.js';
import { closeStale } from '../dead-letters/postgres.js';
import {
  closeResubmissions,
  holdRole,
  isAnythingToDo,
  pendingOf,
  playersAside,
  purgeClosed,
  type Closed,
  type PlayerOfGame,
  type Resubmission,
} from './postgres.js';

export interface ConsumeOptions {
  readonly db: Database;
  readonly role: RoleName;
  /** The role's handler. */
  readonly handler: BatchHandler;
  /** Hands a batch to a handler as the role's bus would: attempts, pauses, letters. One flag per delivery: settled or not. */
  readonly deliver: (
    batch: readonly Delivery[],
    handler: BatchHandler,
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
  const slow: SlowPlayers = new Set();
  while (!signal.aborted) {
    let taken = 0;
    try {
      const { isPending, isOpen } = await isAnythingToDo(db, role);
      if (isOpen && isStaleDue()) await closeStale(db, role);
      if (isPending) {
        const closed = await consumeBatch(options, signal, slow);
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
 * what it closes has taken effect for good. Should it be ended meanwhile, the same batch comes again. So does what a
 * dependency holds up: it stays pending, and nobody waits for it.
 *
 * @param slow is changed here
 */
export function consumeBatch(
  options: ConsumeOptions,
  signal: AbortSignal,
  slow: SlowPlayers = new Set(),
): Promise<Closed> {
  const { db, role, deadLetters } = options;
  return db.transaction(async (sql) => {
    if (!(await holdRole(sql, role))) return NOTHING;
    for (const player of await playersAside(sql, role)) slow.add(playerKey(player));
    const batch = await nextBatch(sql, role, slow);
    if (batch.length === 0) return NOTHING;
    const buried = new Set<string>();
    const watched: DeadLetterSink = {
      put: async (to, delivery, reason, detail) => {
        await deadLetters.put(to, delivery, reason, detail);
        buried.add(delivery.messageId);
      },
    };
    const deliveries = batch.map(({ delivery }) => delivery);
    const settled = await deliverOnce(options, deliveries, watched, { signal, slow });
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

/** Keys of the players whose events are held up, those first who were not tried for longest. */
type SlowPlayers = Set<string>;

/** Beyond that nobody is slow: then it is the dependency that is, and not some of the events. */
const SLOW_MAX = 1_000;

const playerKey = ({ gameId, playerId }: PlayerOfGame): string => `${gameId}\u0000${playerId}`;

const playerOf = (key: string): PlayerOfGame => {
  const [gameId = '', playerId = ''] = key.split('\u0000');
  return { gameId, playerId };
};

/** Everybody else first, however many wait of the slow ones; when only those are left, one of them alone. */
async function nextBatch(sql: Sql, role: RoleName, slow: SlowPlayers): Promise<readonly Resubmission[]> {
  if (slow.size > SLOW_MAX) slow.clear();
  const players = [...slow].map(playerOf);
  const others = await pendingOf(sql, role, BATCH_MAX, { players, isTheirs: false });
  if (others.length > 0) return others;
  for (const player of slow) {
    slow.delete(player); // who is held up again comes to the end
    const own = await pendingOf(sql, role, BATCH_MAX, { players: [playerOf(player)], isTheirs: true });
    if (own.length > 0) return own;
  }
  return [];
}

/** As the bus would, but nothing is waited for: what is held up is left unsettled. */
function deliverOnce(
  { deliver, handler }: ConsumeOptions,
  batch: readonly Delivery[],
  deadLetters: DeadLetterSink,
  { signal, slow }: { readonly signal: AbortSignal; readonly slow: SlowPlayers },
): Promise<readonly boolean[]> {
  const heldUp = new AbortController();
  const impatient: BatchHandler = async (deliveries) => {
    try {
      const outcomes = await handler(deliveries);
      const late = deliveries.filter((_, index) => isHeldUp(outcomes[index]));
      for (const delivery of late) slow.add(playerKey(delivery));
      if (late.length > 0) heldUp.abort();
      return outcomes;
    } catch (error) {
      if (error instanceof OutageError) {
        // Nobody knows whose event it comes from: each player is tried alone.
        for (const delivery of deliveries) slow.add(playerKey(delivery));
        heldUp.abort();
      }
      throw error;
    }
  };
  return deliver(batch, impatient, deadLetters, AbortSignal.any([signal, heldUp.signal]));
}
