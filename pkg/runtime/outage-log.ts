import type { Clock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import type { Logger } from './port.js';

/** So often it is told that a dependency is still away. */
const REMIND_EVERY_MS = 30_000;
/** Every loop tries again sooner: when no try has failed for so long, the dependency is back. */
const QUIET_MS = 20_000;
const LOOK_EVERY_MS = 1_000;
/** Told apart by their words. What comes beyond is written as ever. */
const OUTAGES_MAX = 100;

/** A dependency that is away: since when, and how often that was remarked. */
interface Outage {
  readonly sinceMs: number;
  lastMs: number;
  toldMs: number;
  times: number;
}

/**
 * A logger for loops that try again until it works: of an outage the first line is written as it is, then one now and then
 * that says how long it lasts and how often it was met, and one when it is over. All else is written as ever. A line tells of an
 * outage when its `err` is an OutageError or was caused by one.
 *
 * @param stopping ends the watch: nothing is told of an outage that outlasts the process
 */
export function tellingOutages(logger: Logger, clock: Clock, stopping: AbortSignal): Logger {
  const outages = new Map<string, Outage>();
  let isWatching = false;

  const watch = async (): Promise<void> => {
    isWatching = true;
    while (outages.size > 0 && !stopping.aborted) {
      await clock.sleep(LOOK_EVERY_MS, stopping);
      const nowMs = clock.monotonicMs();
      for (const [what, { sinceMs, lastMs, times }] of outages) {
        if (nowMs - lastMs < QUIET_MS) continue;
        outages.delete(what);
        if (!stopping.aborted && times > 1)
          logger.info({ seconds: seconds(lastMs - sinceMs), times }, `over: ${what}`);
      }
    }
    isWatching = false;
  };

  const around =
    (level: 'warn' | 'error') =>
    (fields: object, message: string): void => {
      const outage = outageOf('err' in fields ? fields.err : undefined);
      if (outage === null) return logger[level](fields, message);
      const nowMs = clock.monotonicMs();
      const known = outages.get(outage.message);
      if (known === undefined && outages.size >= OUTAGES_MAX) return logger[level](fields, message);
      if (known === undefined) {
        outages.set(outage.message, { sinceMs: nowMs, lastMs: nowMs, toldMs: nowMs, times: 1 });
        logger[level](fields, message);
        if (!isWatching) void watch();
        return;
      }
      known.lastMs = nowMs;
      known.times += 1;
      if (nowMs - known.toldMs < REMIND_EVERY_MS) return;
      known.toldMs = nowMs;
      logger[level](
        { ...fields, seconds: seconds(nowMs - known.sinceMs), times: known.times },
        `still: ${message}`,
      );
    };

  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: around('warn'),
    error: around('error'),
  };
}

const seconds = (ms: number): number => Math.round(ms / 1_000);

const CAUSES_MAX = 5;

function outageOf(error: unknown): OutageError | null {
  let one = error;
  for (let depth = 0; depth < CAUSES_MAX && one instanceof Error; depth += 1) {
    if (one instanceof OutageError) return one;
    one = one.cause;
  }
  return null;
}
