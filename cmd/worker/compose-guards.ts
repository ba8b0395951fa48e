import type { BatchHandler } from '../../pkg/bus/port.js';
import type { RoleName } from '../../pkg/kernel/roles.js';
import { createCrashGuard, type CrashGuard } from '../../pkg/worker/crash-guard/guard.js';
import { openLife } from '../../pkg/worker/crash-guard/postgres-life.js';
import { createMarks } from '../../pkg/worker/crash-guard/postgres.js';
import { Watchdog } from '../../pkg/worker/watchdog.js';
import type { Platform } from '../platform.js';

/** What stands around the handlers of a worker's roles. */
export interface Guards {
  /** `make` gets the platform as this role is to use it. */
  around(role: RoleName, make: (platform: Platform) => BatchHandler): BatchHandler;
  /** null: nobody watches. */
  readonly watchdog: Watchdog | null;
  /**
   * Call it when the stop begins, and before anything that takes time: who told the process to stop may kill it before it
   * is done, and what it has in hand then is not what ends it. After a failure of its own it may be.
   */
  close(): Promise<void>;
}

/** @param lookEveryMs how often the watchdog is told of the lag, about */
export async function openGuards(platform: Platform, lookEveryMs: number): Promise<Guards> {
  const { config, clock, logger, metrics, lifecycle, health } = platform;
  const { guard, lastTaken, close } = await openCrashGuard(platform);
  const { stuckSeconds } = config.bus;
  if (stuckSeconds === null)
    return { around: (role, make) => guard(role, make(platform)), watchdog: null, close };
  const watchdog = new Watchdog({
    stuckMs: stuckSeconds * 1_000,
    lookEveryMs,
    lastTaken,
    fail: (reason, error) => lifecycle.fail(reason, error),
    clock,
    logger,
    metrics,
  });
  health.addCheck('roles', async () => watchdog.check());
  return {
    around: (role, make) => {
      const watched = watchdog.watch(role);
      return watched.handler(guard(role, make({ ...platform, db: watched.database(platform.db) })));
    },
    watchdog,
    close,
  };
}

/** A database that is away must not hold up a stop: without the marks it goes on as it would without the guard. */
const MARKS_TIMEOUT_MS = 2_000;

interface OpenCrashGuard {
  readonly guard: CrashGuard;
  readonly lastTaken: (role: RoleName) => Promise<string | null>;
  close(): Promise<void>;
}

/** The memory bus forgets with the process what could end it again: nothing is kept of it. */
async function openCrashGuard(platform: Platform): Promise<OpenCrashGuard> {
  const { config, db, databaseUrl, clock, random, logger, metrics, lifecycle } = platform;
  if (config.bus.driver === 'memory')
    return { guard: (_, handler) => handler, lastTaken: async () => null, close: async () => undefined };
  const life = await openLife({ url: databaseUrl, clock, random, logger });
  lifecycle.onStop('sign of life', () => life.close());
  const marks = createMarks(db, life);
  return {
    guard: createCrashGuard({ marks, logger, metrics }),
    lastTaken: marks.lastTaken,
    close: async () => {
      const taken = marks.close(lifecycle.hasFailed ? 'failed' : 'told').catch((error: unknown) => {
        logger.warn({ err: error }, 'the marks of this process stay: another looks at what it had in hand');
      });
      await Promise.race([taken, clock.sleep(MARKS_TIMEOUT_MS)]);
    },
  };
}
