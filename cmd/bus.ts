import { createMemoryBus } from '../pkg/bus/memory.js';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../pkg/bus/deliver.js';
import type { Bus } from '../pkg/bus/port.js';
import { createPostgresBus, rolesWithUnread } from '../pkg/bus/postgres.js';
import { FairtallyError } from '../pkg/kernel/errors.js';
import type { Platform, Process } from './platform.js';

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
    config.bus.driver === 'memory'
      ? createMemoryBus(policy)
      : createPostgresBus({ ...policy, db, url: databaseUrl });
  lifecycle.onStop('bus', () => bus.close());
  health.addCheck('bus', () => bus.ping());
  return bus;
}

/** @throws FairtallyError `memory_bus`: two processes cannot share a bus that lives in one */
export function refuseVolatileBus({ config }: Process): void {
  if (config.bus.driver !== 'memory') return;
  throw new FairtallyError('memory_bus', 'BUS=memory lives in one process: use `fairtally run`');
}

/**
 * Events that wait on the durable bus would be left behind by a start with the volatile one.
 *
 * @throws FairtallyError `events_unread`
 */
export async function refuseUnread({ db }: Platform): Promise<void> {
  const [role] = await rolesWithUnread(db);
  if (role === undefined) return;
  throw new FairtallyError(
    'events_unread',
    `${String(role.waiting)} events wait for ${role.role} on the postgres bus: run with BUS=postgres until nothing waits`,
  );
}
