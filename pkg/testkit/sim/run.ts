import { ROLES } from '../../kernel/roles.js';
import { deriveAnew, rebuildViews, sendAllAgain } from './aftermath.js';
import { checkAll } from './check.js';
import { Coverage } from './coverage.js';
import type { Doubles } from './doubles.js';
import { GRACE_MS, LAUNCH_ENDS_MS } from './game.js';
import { Violation } from './ground.js';
import { heal, startMonkey } from './monkey.js';
import { healTampered } from './self-healing.js';
import { swarmOf, type FaultKind, type Swarm } from './swarm.js';
import { System, VIEW_CHECK_MS } from './system.js';
import { inboxKey } from './store/worker-statements.js';
import { rebuildAtRest } from './truth-healing.js';
import { START_MS, World } from './world.js';

export interface RunOptions {
  readonly seed: number;
  /** Steps before everything is healed. */
  readonly steps: number;
  readonly coverage?: Coverage;
  readonly doubles?: Doubles;
  /** Faults that are on whatever the seed says. */
  readonly focus?: readonly FaultKind[];
}

export interface RunResult {
  readonly seed: number;
  readonly steps: number;
  readonly traceHash: string;
  readonly swarm: Swarm;
  /** null: every promise was kept. */
  readonly failure: Error | null;
  readonly lastLines: readonly string[];
}

export const DEFAULT_STEPS = 2_000;
/** In so many worlds one is done all over again at its end. */
const AFTERMATH_EVERY = 8;

/** When every cycle that turns in a run can have closed: the end of the longer launch season, its grace, and rounds of closing. */
const CLOSING_TAKES_MS = GRACE_MS + 1_000;
const CLOSED_MS = LAUNCH_ENDS_MS + GRACE_MS + 30_000;
/** Liveness: this long after the last fault everything is at rest. */
const REST_WITHIN_MS = 30 * 60_000;
const REST_WITHIN_STEPS = 60_000;

/** One world from beginning to end: faults, healing, rest, and the checks. */
export async function runSeed({
  seed,
  steps,
  coverage = new Coverage(),
  doubles = {},
  focus = [],
}: RunOptions): Promise<RunResult> {
  const world = new World(seed, swarmOf(seed, focus), coverage);
  const system = new System(world, doubles);
  let failure: Error | null = null;
  try {
    startMonkey(system);
    await world.run(() => system.bug !== null || world.steps >= steps);
    heal(system);
    await rest(system);
    if (system.damage.sharedScores.size > 0) {
      await rebuildAtRest(system);
      await rest(system);
    }
    checkAll(system);
    if (seed % AFTERMATH_EVERY === 0) await aftermath(system);
  } catch (error) {
    failure = error as Error;
  }
  failure = system.bug ?? failure;
  const { traceHash, swarm } = world;
  return { seed, steps: world.steps, traceHash, swarm, failure, lastLines: world.lastLines() };
}

/** Of a world at rest: whatever is done again comes to the same. */
async function aftermath(system: System): Promise<void> {
  const { world } = system;
  await sendAllAgain(system, () => rest(system));
  await rebuildViews(system, () => rest(system));
  checkAll(system);
  await healTampered(system, system.healerOf(system.admin, system.databaseOf(system.admin)));
  await rest(system);
  checkAll(system);
  if (world.swarm.hasRebuild) await rebuildAtRest(system);
  // What was paid by a level that nobody had reached, and what is left to people, no events make.
  if (system.damage.strikes === 0) await deriveAnew(system);
}

/** @throws Violation I14 when the system does not come to rest */
async function rest(system: System): Promise<void> {
  const { world } = system;
  const untilMs = Math.max(world.nowMs, CLOSED_MS) + REST_WITHIN_MS;
  const untilSteps = world.steps + REST_WITHIN_STEPS;
  // What was hidden by a process that died is found at the next look but one.
  let nextLookMs = world.nowMs + 2.5 * VIEW_CHECK_MS;
  let quietSinceMs = Infinity;
  // What was broken is made again by the next round over all players, and views follow.
  const isWalked = (): boolean =>
    system.damage.strikes === 0 || system.truthWatch.walkedSinceMs > quietSinceMs;
  const isAtRest = (): boolean => {
    if (system.bug !== null || world.nowMs > untilMs || world.steps > untilSteps) return true;
    if (world.nowMs < CLOSED_MS || world.nowMs < nextLookMs) return false;
    nextLookMs = world.nowMs + 1_000;
    if (restlessness(system) !== null) return false;
    quietSinceMs = Math.min(quietSinceMs, world.nowMs);
    return isWalked();
  };
  await world.run(isAtRest);
  const why = restlessness(system) ?? (isWalked() ? null : 'nobody looked at what was broken');
  if (why !== null)
    throw new Violation(
      'I14',
      `${why}, ${String(Math.round((world.nowMs - START_MS) / 1000))} s after the beginning`,
    );
}

function restlessness(system: System): string | null {
  const { clients, replayer, broker, store, view, world } = system;
  if (!clients.every(({ isDone }) => isDone)) return 'a client still waits';
  if (!replayer.isDone) return 'the replay still waits';
  if (system.adminsAtWork > 0) return 'a decision is not carried out';
  for (const role of ROLES) if (broker.lag(role).waiting > 0) return `${role} still has events to settle`;
  if (broker.heldGroups() > 0) return 'a batch is still in hand';
  const sent = restlessResubmissions(system);
  if (sent !== null) return sent;
  for (const cycle of store.committed('board_cycles')) {
    const { closes_at: closesAtMs, final_at: finalAtMs } = cycle;
    if (finalAtMs === null && closesAtMs !== null && (closesAtMs as number) + CLOSING_TAKES_MS < world.nowMs)
      return 'a cycle is not closed';
  }
  if (!world.swarm.hasView) return null;
  for (const cycle of store.committed('board_cycles')) {
    if (cycle['final_at'] !== null) continue;
    const key = {
      gameId: cycle['game_id'],
      board: cycle['board'],
      cycle: cycle['cycle'],
      partition: cycle['partition'],
    };
    if (view.whole(key as never, cycle['epoch'] as number) === null) return 'a view is not whole';
  }
  return null;
}

/** What operators and the reconciler began comes to its end, and letters of applied events are closed. */
function restlessResubmissions({ store, world }: System): string | null {
  if (store.committed('resubmissions').some(({ state }) => state === 'pending'))
    return 'something is still on its way to a role again';
  for (const letter of store.committed('dead_letters')) {
    const { role, dedupe_day, identity, content_hash, state } = letter;
    if (state !== 'open' && state !== 'redriven') continue;
    const entered = store.row('inbox', inboxKey(role, dedupe_day, identity));
    if (entered?.['content_hash'] === content_hash && entered?.['definition_version'] !== 0)
      return 'a letter of an event that took effect is still open';
  }
  if (!world.swarm.hasReconciler) return null;
  const last = Math.max(0, ...store.committed('events').map((row) => row['archived_at'] as number));
  for (const role of ROLES.filter((one) => one !== 'archive')) {
    const through = store.row('reconciled', role)?.['through'] as number | undefined;
    if ((through ?? 0) < last) return `${role} is not compared with the archive to its end`;
  }
  return null;
}

/** What a person needs to see the failure again. */
export function describeFailure(
  { seed, swarm, failure, lastLines, traceHash }: RunResult,
  steps: number,
): string {
  const faults = Object.entries(swarm.faults).filter(([, rate]) => rate > 0);
  return [
    `seed ${String(seed)} failed: ${failure?.stack ?? String(failure)}`,
    `trace hash ${traceHash}`,
    `configuration: ${JSON.stringify({ ...swarm, faults: faults.map(([kind]) => kind) })}`,
    ...lastLines,
    `again: make sim SEED=${String(seed)} STEPS=${String(steps)}`,
  ]
    .join('\n')
    .replaceAll('\u0000', '|');
}
