import { keepFresh } from '../../pkg/games/refresh-loop.js';
import type { RefusalSink } from '../../pkg/refusals/port.js';
import { createRefusalStore } from '../../pkg/refusals/postgres.js';
import { RefusalRecorder } from '../../pkg/refusals/recorder.js';
import { refreshInBackground, type Platform } from '../platform.js';

const WRITE_EVERY_MS = 1_000;
const FORGET_EVERY_MS = 3_600_000;
/** What is best effort must not hold up a stop. */
const LAST_WRITE_MAX_MS = 2_000;

/** Where the way in tells what it refuses; written behind it, once a second, by every gateway. */
export function composeRefusals(platform: Platform): RefusalSink {
  const { db, clock, metrics, logger, lifecycle } = platform;
  const store = createRefusalStore(db);
  const recorder = new RefusalRecorder({ store, clock, metrics, logger });
  const loop = keepFresh(() => recorder.flush(), {
    everyMs: WRITE_EVERY_MS,
    clock,
    signal: lifecycle.stopping,
    onError: (error) => logger.error({ err: error }, 'refusals could not be written'),
  });
  lifecycle.onStop('refusals', () =>
    Promise.race([loop.then(() => recorder.flushAll()), clock.sleep(LAST_WRITE_MAX_MS)]),
  );
  refreshInBackground('refusals that are too old', () => store.forgetOld(), FORGET_EVERY_MS, platform);
  return recorder;
}
