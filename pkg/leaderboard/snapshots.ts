import type { Lag } from '../bus/port.js';
import type { DefinitionSource } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { RoleName } from '../kernel/roles.js';
import type { Logger } from '../runtime/port.js';
import type { BoardKey } from './port.js';

export interface DueCycle {
  readonly key: BoardKey;
  readonly closesAtMs: number;
  readonly definitionVersion: number;
}

export interface SnapshotStore {
  /** Cycles over and not final, the oldest first. */
  due(nowMs: number, after: DueCycle | null, limit: number): Promise<readonly DueCycle[]>;
  /** Writes the snapshot and final_at in one transaction; false when somebody else had. */
  close(key: BoardKey, nowMs: number): Promise<boolean>;
}

export interface SnapshotOptions {
  readonly store: SnapshotStore;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  /** Every role that runs on this bus. */
  readonly roles: readonly RoleName[];
  readonly lag: (role: RoleName) => Promise<Lag>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly intervalMs?: number;
}

const INTERVAL_MS = 10_000;
const PAGE = 500;

/** Closes cycles until `signal` aborts. Any number of processes may do so at once. */
export async function runSnapshots(options: SnapshotOptions, signal: AbortSignal): Promise<void> {
  const { clock, log, intervalMs = INTERVAL_MS } = options;
  while (!signal.aborted) {
    await closeCycles(options).catch((error: unknown) => {
      log.warn({ err: error }, 'cycles could not be closed');
    });
    await clock.sleep(intervalMs, signal);
  }
}

/**
 * Closes every cycle whose grace has passed and before whose end of grace no event waits for any role. Answers the
 * cycles closed by this call.
 */
export async function closeCycles(options: SnapshotOptions): Promise<number> {
  const { store, definitions, clock, log } = options;
  const nowMs = clock.now();
  // Asked before the scores are read: what was settled then is committed.
  const settledUntilMs = await settledUntil(options, nowMs);
  let closed = 0;
  let after: DueCycle | null = null;
  for (;;) {
    const page: readonly DueCycle[] = await store.due(nowMs, after, PAGE);
    for (const cycle of page) {
      const { graceMs } = await definitions.version(cycle.key.gameId, cycle.definitionVersion);
      const graceEndsAtMs = cycle.closesAtMs + graceMs;
      if (graceEndsAtMs >= nowMs || graceEndsAtMs > settledUntilMs) continue;
      if (await store.close(cycle.key, nowMs)) {
        closed += 1;
        log.info({ ...cycle.key }, 'a cycle is final');
      }
    }
    after = page.at(-1) ?? null;
    if (after === null) return closed;
  }
}

/** Everything published before this instant is settled by every role. */
async function settledUntil({ roles, lag }: SnapshotOptions, nowMs: number): Promise<number> {
  const lags = await Promise.all(roles.map((role) => lag(role)));
  const oldest = lags.map(({ waiting, oldestPublishedAtMs }) => {
    if (oldestPublishedAtMs !== null) return oldestPublishedAtMs;
    return waiting === 0 ? nowMs : -Infinity; // something waits and nobody knows since when
  });
  return Math.min(nowMs, ...oldest);
}
