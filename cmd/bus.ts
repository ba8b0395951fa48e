import { createMemoryBus } from '../pkg/bus/memory.js';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../pkg/bus/deliver.js';
import type { Bus } from '../pkg/bus/port.js';
import { createPostgresBus } from '../pkg/bus/postgres.js';
import type { Platform } from './platform.js';

/** Chooses the driver that BUS names. A new bus is one more case here, in the configuration and in pkg/bus. */
export function openBus(platform: Platform): Bus {
  const { config, db, databaseUrl, deadLetters, clock, random, logger, lifecycle, health } = platform;
  const policy = {
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: DEFAULT_BACKOFF,
    deadLetters,
    clock,
    random,
    logger,
  };
  const bus =
    config.bus === 'memory'
      ? createMemoryBus(policy)
      : createPostgresBus({ ...policy, db, url: databaseUrl });
  lifecycle.onStop('bus', () => bus.close());
  health.addCheck('bus', () => bus.ping());
  return bus;
}
