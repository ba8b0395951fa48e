import { setMaxListeners } from 'node:events';
import { archiveRole } from '../../archive/role.js';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, deliver } from '../../bus/deliver.js';
import type { BatchHandler, Bus } from '../../bus/port.js';
import { fairnessRole } from '../../fairness/role.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import { leaderboardRole } from '../../leaderboard/role.js';
import { runSnapshots, type SnapshotOptions } from '../../leaderboard/snapshots.js';
import { postgresSnapshots } from '../../leaderboard/snapshots.postgres.js';
import type { BoardView } from '../../leaderboard/view.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../postgres/port.js';
import { createProgressionRole } from '../../progression/role.js';
import { createCrashGuard, type CrashGuard } from '../../worker/crash-guard/guard.js';
import { createMarks } from '../../worker/crash-guard/postgres.js';
import { createDispatch } from '../../worker/dispatch.js';
import type { DeadLetters, Role } from '../../worker/port.js';
import { runReconciler, type ReconcilerOptions } from '../../worker/reconcile/reconcile.js';
import { consumeResubmissions, type ConsumeOptions } from '../../worker/resubmissions/consume.js';
import { quietMetrics } from '../quiet.js';
import { createSimBus } from './bus.js';
import { definitionsOf } from './game.js';
import { openSimLife } from './life.js';
import type { SimNode } from './node.js';
import { resubmit } from './resubmit.js';
import { simSigner } from './signer.js';
import type { System } from './system.js';
import { walkTruth } from './truth-healing.js';
import { withWrongRule } from './wrong-rule.js';

/** How long a worker sleeps when nothing was sent to a role again: a second in production, where steps cost nothing. */
const RESUBMISSIONS_IDLE_MS = 6_000;
/** Longer than any transaction of a simulated archive, as the quarter of an hour is in production. */
export const RECONCILE_AGE_MS = 60_000;
/** Longer than any run: the whole archive of a world is looked at, and not the days before it. */
const RECONCILE_WINDOW_MS = 2 * 3_600_000;
/** How much longer loops sleep that only look whether there is something to do, once nothing goes wrong any more. */
const RESTING = 3;

interface Parts {
  readonly system: System;
  readonly node: SimNode;
  readonly db: Database;
  readonly bus: Bus;
  readonly view: BoardView;
  readonly deadLetters: DeadLetters;
  readonly handlers: Readonly<Record<RoleName, BatchHandler>>;
  /** Processes of the simulation are killed, never asked to stop; every loop listens all the same. */
  readonly never: AbortSignal;
}

/** A worker process with every role, wired as cmd/worker wires it. */
export async function composeWorker(system: System, node: SimNode): Promise<void> {
  const { world, log, doubles, broker } = system;
  const db = system.databaseOf(node);
  const deadLetters = system.lettersOf(db);
  const bus = createSimBus({
    ...{ node, broker, deadLetters, logger: log, batchMax: world.swarm.batchMax },
    ...(doubles.acknowledged === undefined ? {} : { acknowledged: doubles.acknowledged }),
  });
  const view = system.viewOf(node, db);
  const guard = world.swarm.hasGuard ? await guardOf(system, node, db) : null;
  const handlers = handlersOf(system, node, db, view, guard);
  // One of each life: a signal keeps whoever listened to it, and with it the world.
  const never = new AbortController().signal;
  setMaxListeners(0, never);
  const parts: Parts = { system, node, db, bus, view, deadLetters, handlers, never };
  for (const role of ROLES) {
    bus.subscribe(role, handlers[role]).catch(system.failed);
    openResubmissions(parts, role);
    openReconciler(parts, role);
  }
  resubmit({ node, store: system.store, broker, handlers, deadLetters, log }).catch(system.failed);
  openMaintenance(parts);
  const { healSeconds } = world.swarm;
  if (healSeconds !== null) walkTruth(system, node, healSeconds, never).catch(system.failed);
}

async function guardOf({ store, log, doubles }: System, node: SimNode, db: Database): Promise<CrashGuard> {
  const marks = createMarks(db, await openSimLife(node, store));
  return createCrashGuard({ marks: doubles.marks?.(marks) ?? marks, logger: log, metrics: quietMetrics });
}

function handlersOf(
  system: System,
  node: SimNode,
  db: Database,
  view: BoardView,
  guard: CrashGuard | null,
): Record<RoleName, BatchHandler> {
  const { log, doubles, hands } = system;
  const { clock, random } = node;
  const definitions = definitionsOf(node);
  const deadLetters = system.lettersOf(db);
  const shared = { db, definitions, deadLetters, clock, random, metrics: quietMetrics, logger: log };
  const handlerOf = <State, Changes>(role: Role<State, Changes>): BatchHandler => {
    const built = withWrongRule(role, node);
    const dispatch = createDispatch({ ...shared, role: doubles.role?.(built, clock) ?? built });
    const handler = hands.around(node, role.name, doubles.handler?.(dispatch) ?? dispatch, () =>
      system.crash(node),
    );
    return guard === null ? handler : guard(role.name, handler);
  };
  return {
    archive: handlerOf(archiveRole),
    progression: handlerOf(createProgressionRole({ definitions, signer: simSigner })),
    leaderboard: handlerOf(leaderboardRole(view)),
    fairness: handlerOf(fairnessRole),
  };
}

/** In a healed world little happens, and it is the steps that cost. */
const restingClock = ({ clock, world }: SimNode): Clock => ({
  ...clock,
  sleep: (ms, signal) => clock.sleep(world.isHealed ? ms * RESTING : ms, signal),
});

function openResubmissions({ system, node, db, deadLetters, handlers, never }: Parts, role: RoleName): void {
  const { log, doubles, world } = system;
  const { clock, random } = node;
  const policy = {
    role,
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: DEFAULT_BACKOFF,
    clock,
    random,
    logger: log,
  };
  const options: ConsumeOptions = {
    ...{ db, role, handler: handlers[role], deadLetters, clock: restingClock(node) },
    ...{ logger: log, metrics: quietMetrics },
    deliver: (batch, by, sink, signal) => deliver(batch, by, { ...policy, deadLetters: sink, signal }),
    idleMs: RESUBMISSIONS_IDLE_MS * world.swarm.pace,
  };
  consumeResubmissions(doubles.consume?.(options) ?? options, never).catch(system.failed);
}

function openReconciler({ system, node, db, bus, never }: Parts, role: RoleName): void {
  const { log, doubles, world } = system;
  if (!world.swarm.hasReconciler || role === 'archive') return;
  const options: ReconcilerOptions = {
    ...{ db, role, clock: node.clock, logger: log, ageMs: RECONCILE_AGE_MS, windowMs: RECONCILE_WINDOW_MS },
    waitingSince: async () => {
      const { waiting, oldestPublishedAtMs } = await bus.lag(role);
      return waiting === 0 ? null : (oldestPublishedAtMs ?? 0);
    },
  };
  runReconciler(doubles.reconciler?.(options) ?? options, never).catch(system.failed);
}

function openMaintenance({ system, node, db, bus, view, never }: Parts): void {
  view.run(never).catch(system.failed);
  const closing: SnapshotOptions = {
    ...{ store: postgresSnapshots(db), definitions: definitionsOf(node), roles: ROLES },
    ...{ clock: restingClock(node), log: system.log, lag: (role) => bus.lag(role) },
  };
  runSnapshots(system.doubles.snapshots?.(closing) ?? closing, never).catch(system.failed);
}
