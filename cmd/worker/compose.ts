import { archiveRole } from '../../pkg/archive/role.js';
import type { BatchHandler, Bus } from '../../pkg/bus/port.js';
import { fairnessRole } from '../../pkg/fairness/role.js';
import { ROLES, type RoleName } from '../../pkg/kernel/roles.js';
import { redisBoardView } from '../../pkg/leaderboard/redis.js';
import { leaderboardRole } from '../../pkg/leaderboard/role.js';
import { postgresSnapshots } from '../../pkg/leaderboard/snapshots.postgres.js';
import { runSnapshots } from '../../pkg/leaderboard/snapshots.js';
import { postgresBoardTruth } from '../../pkg/leaderboard/truth.postgres.js';
import { BoardView } from '../../pkg/leaderboard/view.js';
import { createReceiptSigner } from '../../pkg/progression/receipt-signer.js';
import { createProgressionRole } from '../../pkg/progression/role.js';
import type { Metrics } from '../../pkg/runtime/port.js';
import { createDispatch } from '../../pkg/worker/dispatch.js';
import type { Role } from '../../pkg/worker/port.js';
import { settingAside } from '../../pkg/worker/resubmissions/set-aside.js';
import { unappliedOf } from '../../pkg/worker/resubmissions/unapplied.js';
import type { Watchdog } from '../../pkg/worker/watchdog.js';
import { openHealing } from '../heal.js';
import { RECEIPT_ISSUER, type Platform } from '../platform.js';
import { openGuards } from './compose-guards.js';
import { openReconciler, openResubmissions } from './compose-resubmissions.js';

const LAG_EVERY_MS = 1_000;

/** The worker: each role it runs joins its consumer group. */
export async function composeWorker(platform: Platform, bus: Bus): Promise<void> {
  const { config, db, redis, clock, logger, metrics, lifecycle, definitions } = platform;
  const view = new BoardView({
    truth: postgresBoardTruth(db),
    store: redis === null ? null : redisBoardView(redis, logger, platform.life),
    definitions,
    clock,
    log: logger,
    metrics,
  });
  const handlers: Record<RoleName, (own: Platform) => BatchHandler> = {
    archive: (own) => handlerOf(own, archiveRole),
    progression: (own) => {
      const signer = createReceiptSigner({ issuer: RECEIPT_ISSUER, keys: platform.receiptKeys });
      return handlerOf(own, createProgressionRole({ definitions, signer }));
    },
    leaderboard: (own) => handlerOf(own, leaderboardRole(view)),
    fairness: (own) => handlerOf(own, fairnessRole),
  };
  const guards = await openGuards(platform, LAG_EVERY_MS);
  for (const role of config.roles) {
    const make = handlers[role];
    const fromBus = guards.around(role, (own) => settingAside(make(own), { ...own, role }));
    const subscription = await bus.subscribe(role, fromBus);
    lifecycle.onStop(`role ${role}`, () => subscription.close());
    openResubmissions(platform, role, guards.around(role, make));
    openReconciler(platform, bus, role);
  }
  if (config.roles.includes('leaderboard')) {
    const loops = [
      view.run(lifecycle.stopping),
      runSnapshots(
        {
          store: postgresSnapshots(db),
          definitions,
          roles: ROLES,
          lag: (role) => unappliedOf(db, bus, role),
          clock,
          log: logger,
        },
        lifecycle.stopping,
      ),
    ];
    lifecycle.onStop('board maintenance', () => Promise.all(loops).then(() => undefined));
    openHealing(platform, view);
  }
  const watching = watchLag(platform, bus, guards.watchdog);
  lifecycle.onStop('lag metrics', () => watching);
  lifecycle.onStop('crash guard', () => guards.close());
  logger.info({ roles: config.roles }, 'roles are running');
}

function handlerOf<State, Changes>(platform: Platform, role: Role<State, Changes>): BatchHandler {
  const { db, definitions, deadLetters, clock, random, metrics, logger } = platform;
  return createDispatch({ db, role, definitions, deadLetters, clock, random, metrics, logger });
}

/** How far each role is behind: events that wait, and the age of the oldest. */
async function watchLag(platform: Platform, bus: Bus, watchdog: Watchdog | null): Promise<void> {
  const { config, clock, logger, lifecycle, metrics } = platform;
  const { events, age, brokerDead } = lagGauges(metrics);
  while (!lifecycle.stopping.aborted) {
    for (const role of config.roles) {
      try {
        const { waiting, oldestPublishedAtMs, brokerDead: dead = null } = await bus.lag(role);
        const ageMs = oldestPublishedAtMs === null ? 0 : Math.max(0, clock.now() - oldestPublishedAtMs);
        events.set(waiting, { role });
        age.set(ageMs / 1000, { role });
        if (dead !== null) brokerDead.set(dead, { role });
        await watchdog?.look(role, { waiting, ageSeconds: ageMs / 1000 });
      } catch (error) {
        logger.debug({ err: error, role }, 'the lag could not be read'); // readiness tells that the bus is away
        await watchdog?.look(role, null);
      }
    }
    await clock.sleep(LAG_EVERY_MS, lifecycle.stopping);
  }
}

const lagGauges = (
  metrics: Metrics,
): Record<'events' | 'age' | 'brokerDead', ReturnType<Metrics['gauge']>> => ({
  events: metrics.gauge('fairtally_lag_events', 'Events published and not yet settled by a role', ['role']),
  age: metrics.gauge('fairtally_lag_seconds', 'Age of the oldest event that a role has not settled', [
    'role',
  ]),
  brokerDead: metrics.gauge(
    'fairtally_broker_dead_letters',
    'Messages in the dead letter queue of the broker itself: `fairtally bus collect` brings them in',
    ['role'],
  ),
});
