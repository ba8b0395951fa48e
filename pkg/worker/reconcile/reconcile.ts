import { encodeEvent } from '../../contract/event.js';
import type { Clock } from '../../kernel/clock.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { Logger } from '../../runtime/port.js';
import type { Decision } from '../dead-letters/port.js';
import { recordAction } from '../dead-letters/queries.postgres.js';
import { backlogOf, submitCopies } from '../resubmissions/postgres.js';
import { admittedEventOf } from './archived-event.js';
import {
  archivedSince,
  countLacking,
  databaseNow,
  holdReconciler,
  lackingOf,
  reconciledThrough,
  setReconciledThrough,
  type Slice,
} from './postgres.js';

const PAGE_MAX = 500;
/** While so many resubmissions wait for a role nothing is added. */
const BACKLOG_MAX = 10_000;
const SLICE = { firstMs: 60_000, leastMs: 1_000, mostMs: 6 * 3_600_000 };
const AGE_MS = 15 * 60_000;
const WINDOW_MS = 14 * 24 * 3_600_000;
/** Clocks of gateways and of the database differ by less. */
const SKEW_MS = 60_000;
const PAGE_EVERY_MS = 1_000;
const PASS_EVERY_MS = 30_000;

const BY_ITSELF: Decision = { actor: 'worker', why: 'the archive has what the role lacks' };

export interface ReconcilerOptions {
  readonly db: Database;
  readonly role: RoleName;
  /** When the oldest event was published that waits for the role on the bus, UTC ms; null when none does. What is younger is on its way. */
  readonly waitingSince: (role: RoleName) => Promise<number | null>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What was archived later than this ago may be on its way to the role. */
  readonly ageMs?: number;
  /** What was archived longer ago is looked at by hand only. */
  readonly windowMs?: number;
}

/** What one step did. */
export interface Step {
  readonly submitted: number;
  /** Nothing is left to compare at the moment. */
  readonly isThrough: boolean;
  /** How long the next slice should be: a full page of missing events makes it shorter. */
  readonly sliceMs: number;
}

/** Compares a role with the archive, slice after slice, until the signal. The last place is kept: what was compared once is not compared again. */
export async function runReconciler(options: ReconcilerOptions, signal: AbortSignal): Promise<void> {
  const { role, clock, logger } = options;
  let sliceMs = SLICE.firstMs;
  while (!signal.aborted) {
    let pauseMs = PASS_EVERY_MS;
    try {
      const step = await reconcileStep(options, sliceMs);
      ({ sliceMs } = step);
      if (step.submitted > 0)
        logger.warn(
          { role, events: step.submitted },
          'events that only the archive had are sent to the role',
        );
      if (!step.isThrough) pauseMs = step.submitted > 0 ? PAGE_EVERY_MS : 0;
    } catch (error) {
      logger.warn({ role, err: error }, 'the role cannot be compared with the archive');
    }
    if (pauseMs > 0) await clock.sleep(pauseMs, signal);
  }
}

/** One slice, in one transaction with the place it was reached: a crash repeats it or does not. */
export async function reconcileStep(options: ReconcilerOptions, sliceMs: number): Promise<Step> {
  const { db, role, ageMs = AGE_MS, windowMs = WINDOW_MS } = options;
  const waitingSinceMs = await options.waitingSince(role);
  return db.transaction(async (sql) => {
    const idle: Step = { submitted: 0, isThrough: true, sliceMs };
    if (!(await holdReconciler(sql, role)) || (await backlogOf(sql, role, BACKLOG_MAX)) >= BACKLOG_MAX)
      return idle;
    const nowMs = await databaseNow(sql);
    const through = (await reconciledThrough(sql, role)) ?? 0;
    const fromMs = Math.max(through, nowMs - windowMs);
    const untilMs = Math.min(nowMs - ageMs, (waitingSinceMs ?? Infinity) - SKEW_MS);
    if (fromMs >= untilMs) return idle;
    const slice = { role, fromMs, toMs: Math.min(fromMs + sliceMs, untilMs) };
    const found = await submitPage(sql, slice, (submit) =>
      recordAction(submit, 'reconcile', BY_ITSELF, slice),
    );
    if (!found.isFull) await setReconciledThrough(sql, role, slice.toMs);
    return {
      submitted: found.submitted,
      isThrough: !found.isFull && slice.toMs >= untilMs,
      sliceMs: nextSlice(sliceMs, found.isFull),
    };
  });
}

const nextSlice = (sliceMs: number, isFull: boolean): number =>
  isFull ? Math.max(SLICE.leastMs, sliceMs / 2) : Math.min(SLICE.mostMs, sliceMs * 2);

/** @param actionOf asked only when something is missing */
async function submitPage(
  sql: Sql,
  slice: Slice,
  actionOf: (sql: Sql) => Promise<number>,
): Promise<{ readonly submitted: number; readonly isFull: boolean }> {
  const rows = await lackingOf(sql, slice, PAGE_MAX);
  if (rows.length === 0) return { submitted: 0, isFull: false };
  const copies = rows.map((row) => {
    const event = admittedEventOf(row);
    return { role: slice.role, event, body: encodeEvent(event) };
  });
  const submitted = await submitCopies(sql, copies, await actionOf(sql));
  return { submitted, isFull: rows.length === PAGE_MAX };
}

export interface ReconcileCommand {
  readonly roles: readonly RoleName[];
  readonly gameId?: string | undefined;
  /** What was archived since, UTC ms. */
  readonly sinceMs: number;
  readonly ageMs: number;
  readonly isDryRun: boolean;
  readonly decision: Decision;
  readonly onProgress?:
    ((progress: { readonly role: RoleName; readonly missing: number }) => void) | undefined;
}

/**
 * Compares roles with the archive by hand, whatever was compared before, and submits what is missing, or only counts it.
 * Interrupted, it can be run again: what was submitted is on its way.
 *
 * @returns by role how many events were missing
 */
export async function reconcileByHand(
  command: ReconcileCommand,
  { db, clock }: { readonly db: Database; readonly clock: Pick<Clock, 'sleep'> },
): Promise<ReadonlyMap<RoleName, number>> {
  const missing = new Map<RoleName, number>();
  const { gameId, sinceMs, isDryRun, decision } = command;
  const untilMs = (await databaseNow(db)) - command.ageMs;
  // A slice does not hold its own beginning.
  const firstMs = Math.max(sinceMs, ((await archivedSince(db)) ?? untilMs) - 1);
  let action: Promise<number> | null = null;
  const scope = { roles: command.roles, gameId, sinceMs };
  const actionOf = (): Promise<number> => (action ??= recordAction(db, 'reconcile', decision, scope));
  for (const role of command.roles) {
    missing.set(role, 0);
    let sliceMs = SLICE.firstMs;
    for (let fromMs = firstMs; fromMs < untilMs;) {
      const slice = { role, gameId, fromMs, toMs: Math.min(fromMs + sliceMs, untilMs) };
      const found = isDryRun
        ? { submitted: await countLacking(db, slice), isFull: false }
        : await submitPage(db, slice, actionOf);
      missing.set(role, (missing.get(role) ?? 0) + found.submitted);
      command.onProgress?.({ role, missing: missing.get(role) ?? 0 });
      if (!found.isFull) fromMs = slice.toMs;
      sliceMs = nextSlice(sliceMs, found.isFull);
      while ((await backlogOf(db, role, BACKLOG_MAX)) >= BACKLOG_MAX) await clock.sleep(PAGE_EVERY_MS);
    }
  }
  return missing;
}
