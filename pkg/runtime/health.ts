import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';

export type CheckResult = 'ok' | 'failed' | 'timeout' | 'storage_full';

export interface Readiness {
  readonly ready: boolean;
  /** `draining` from the moment the process was told to stop. */
  readonly state: 'starting' | 'ready' | 'unready' | 'draining';
  readonly checks: Readonly<Record<string, CheckResult>>;
}

/** Rejects when a dependency cannot be used. */
export type Check = () => Promise<void>;

export interface Health {
  /** A named dependency that this process cannot work without. */
  addCheck(name: string, check: Check): void;
  /** The process has started; until then it is not ready. */
  started(): void;
  /** Not ready from now on, whatever the checks say: a load balancer sends nothing new. */
  drain(): void;
  /** Runs every check at once; callers in the meantime share the answer. Never rejects. */
  readiness(): Promise<Readiness>;
}

const CHECK_TIMEOUT_MS = 2_000;

/**
 * What /readyz answers. /healthz has no state: a process that can answer is alive, and restarting it because a
 * database is down would help nobody.
 */
export function createHealth(clock: Clock, checkTimeoutMs: number = CHECK_TIMEOUT_MS): Health {
  const checks = new Map<string, Check>();
  let phase: 'starting' | 'started' | 'draining' = 'starting';
  let inFlight: Promise<Record<string, CheckResult>> | null = null;

  const runAll = async (): Promise<Record<string, CheckResult>> => {
    const names = [...checks];
    const results = await Promise.all(
      names.map(async ([name, check]) => [name, await runCheck(clock, check, checkTimeoutMs)] as const),
    );
    return Object.fromEntries(results);
  };

  return {
    addCheck: (name, check) => void checks.set(name, check),
    started: () => {
      if (phase === 'starting') phase = 'started';
    },
    drain: () => {
      phase = 'draining';
    },
    readiness: async () => {
      inFlight ??= runAll().finally(() => {
        inFlight = null;
      });
      const results = await inFlight;
      if (phase !== 'started') return { ready: false, state: phase, checks: results };
      const ready = Object.values(results).every((result) => result === 'ok');
      return { ready, state: ready ? 'ready' : 'unready', checks: results };
    },
  };
}

/** The one failure that somebody has to end by hand. */
const isStorageFull = (error: unknown): boolean =>
  error instanceof FairtallyError && error.code === 'storage_full';

async function runCheck(clock: Clock, check: Check, timeoutMs: number): Promise<CheckResult> {
  const done = new AbortController();
  const outcome = Promise.resolve()
    .then(check)
    .then(
      () => 'ok' as const,
      (error: unknown) => (isStorageFull(error) ? 'storage_full' : 'failed'), // the dependency's own room logs and counts why
    );
  const timeout = clock.sleep(timeoutMs, done.signal).then(() => 'timeout' as const);
  try {
    return await Promise.race([outcome, timeout]);
  } finally {
    done.abort();
  }
}
