import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, deliver } from '../../pkg/bus/deliver.js';
import type { BatchHandler, Bus } from '../../pkg/bus/port.js';
import type { RoleName } from '../../pkg/kernel/roles.js';
import { runReconciler } from '../../pkg/worker/reconcile/reconcile.js';
import { consumeResubmissions } from '../../pkg/worker/resubmissions/consume.js';
import type { Platform } from '../platform.js';

/** Feeds a role with what is sent to it beside the bus, through the very handler that the bus feeds. */
export function openResubmissions(platform: Platform, role: RoleName, handler: BatchHandler): void {
  const { db, deadLetters, clock, random, logger, metrics, lifecycle } = platform;
  const policy = {
    role,
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: DEFAULT_BACKOFF,
    clock,
    random,
    logger,
  };
  const loop = consumeResubmissions(
    {
      db,
      role,
      handler,
      deliver: (batch, by, sink, signal) => deliver(batch, by, { ...policy, deadLetters: sink, signal }),
      deadLetters,
      clock,
      logger,
      metrics,
    },
    lifecycle.stopping,
  );
  lifecycle.onStop(`resubmissions to ${role}`, () => loop);
}

/** On a bus that has a queue per role, and fills them one after the other, the archive may be the only one that got an event. */
export function openReconciler(platform: Platform, bus: Bus, role: RoleName): void {
  const { config, db, clock, logger, lifecycle } = platform;
  if (config.bus.driver !== 'sqs' || role === 'archive') return;
  const waitingSince = async (): Promise<number | null> => {
    const { waiting, oldestPublishedAtMs } = await bus.lag(role);
    return waiting === 0 ? null : (oldestPublishedAtMs ?? 0);
  };
  const loop = runReconciler({ db, role, waitingSince, clock, logger }, lifecycle.stopping);
  lifecycle.onStop(`reconciler of ${role}`, () => loop);
}
