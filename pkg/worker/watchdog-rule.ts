/** What is seen of one role in one process at one look. */
export interface Look {
  /** Monotonic ms. */
  readonly atMs: number;
  /** Events that wait for the role, as the bus says; null: it could not be read. */
  readonly waiting: number | null;
  /** Signs of life of the role in this process so far: ends of handler calls (also by a throw) and of database statements. */
  readonly signs: number;
  /** Whether a statement of the role is on its way: the database has a time limit of its own, so it comes to an end. */
  readonly isWaitingForDatabase: boolean;
  /** Whether a handler call is on its way. */
  readonly isInHand: boolean;
  /** Changes whenever any member of the role, here or elsewhere, takes a batch; null where nobody can tell. */
  readonly taken: string | null;
}

/** What is remembered from one look to the next. */
export interface Watch {
  readonly last: Look;
  /** For how long events have waited without progress, ms. */
  readonly stillMs: number;
}

/** `stuck`: for one period nothing moved. `lost`: nor for another one. */
export type WatchVerdict = 'moves' | 'unknown' | 'stuck' | 'lost';

export interface WatchRule {
  readonly periodMs: number;
  /** A look that comes later than this after the one before counts as so much: a process that was stopped knows nothing. */
  readonly lookMaxMs: number;
}

export const firstWatch = (last: Look): Watch => ({ last, stillMs: 0 });

/**
 * Whether a role makes progress in this process.
 *
 * - What cannot be read is no verdict, and the time until then does not count.
 * - Nothing waits, a call or a statement ended, or a statement is on its way: it moves. A role that waits for PostgreSQL is
 *   alive: each of its calls ends with an outage.
 * - A call in hand without any of these is still, whatever other members do.
 * - Without a call in hand the process may be idle because others hold all lanes: then it moves as long as any member takes
 *   batches. A member that lost its lanes without knowing cannot be told from an idle one while others work; when they have
 *   settled what they can reach, what is left waits and nobody takes it.
 */
export function judgeLook(
  watch: Watch,
  look: Look,
  rule: WatchRule,
): { readonly watch: Watch; readonly verdict: WatchVerdict } {
  if (look.waiting === null) return { watch: firstWatch(look), verdict: 'unknown' };
  const { last } = watch;
  const isAlive = look.signs !== last.signs || look.isWaitingForDatabase;
  const isIdle = !look.isInHand && look.taken !== last.taken;
  if (look.waiting === 0 || isAlive || isIdle) return { watch: firstWatch(look), verdict: 'moves' };
  const stillMs = watch.stillMs + Math.min(rule.lookMaxMs, look.atMs - last.atMs);
  const verdict = stillMs < rule.periodMs ? 'moves' : stillMs < 2 * rule.periodMs ? 'stuck' : 'lost';
  return { watch: { last: look, stillMs }, verdict };
}
