import type { Board } from '../../games/port.js';
import type { BoardKey } from '../../leaderboard/port.js';
import { reconcileCycle, type ViewDrift, type ViewReconcileParts } from '../../leaderboard/reconcile.js';
import type { RankedSample, StoredRows } from '../../leaderboard/view-audit.js';
import type { BoardTruth } from '../../leaderboard/view-port.js';
import type { BoardView } from '../../leaderboard/view.js';
import { isTransient } from '../../postgres/database.js';
import { OutageError } from '../../kernel/errors.js';
import { keyOf } from './check-boards.js';
import { definitionsOf } from './game.js';
import { Violation } from './ground.js';
import type { SimNode } from './node.js';
import type { System } from './system.js';
import { RedisAway, type ViewEntry } from './view-server.js';

const PAUSE_MS = 20_000;
const CYCLES_MAX = 50;

export interface ViewHealer {
  readonly node: SimNode;
  readonly truth: BoardTruth;
  readonly view: BoardView;
}

/** What cmd/heal.ts wires for production, on the simulated view. */
export function viewPartsOf(system: System, { node, truth, view }: ViewHealer): ViewReconcileParts {
  const entriesOf = (key: BoardKey, epoch: number): Promise<ReadonlyMap<string, ViewEntry> | null> =>
    node.ask('view read', ({ resolve, reject }) => {
      const { latencyMs } = system.world.swarm;
      system.world.after(latencyMs, `${node.name} view read`, () => {
        if (!system.view.isUp) return reject(new RedisAway());
        const entries = system.view.whole(key, epoch);
        resolve(entries === null ? null : new Map(entries));
      });
    });
  const stored: StoredRows = async (key, _order: Board['order'], epoch, subjects) => {
    const entries = await entriesOf(key, epoch);
    return entries === null ? null : subjects.map((subject) => entries.get(subject) ?? null);
  };
  const ranked: RankedSample = async (key, _order: Board['order'], epoch) => {
    const entries = await entriesOf(key, epoch);
    if (entries === null) return null;
    return [...entries].flatMap(([subject, { place }]) => (place === null ? [] : [{ subject, ...place }]));
  };
  const { clock, random } = node;
  return { truth, stored, ranked, view, definitions: definitionsOf(node), clock, random };
}

/**
 * The reconciler of views, while everything else goes wrong. What a dead process did not refresh it may refresh; nobody
 * writes into views what the truth never said, so it has no reason to void one.
 */
export async function healWhileItRuns(system: System, healer: ViewHealer): Promise<void> {
  const { world } = system;
  const { chance, coverage } = world;
  const parts = viewPartsOf(system, healer);
  while (!world.isHealed) {
    await healer.node.clock.sleep(chance.between(0, PAUSE_MS) * world.swarm.pace);
    try {
      const [cycle] = chance.shuffled(await healer.truth.openCycles({}, null, CYCLES_MAX));
      if (cycle === undefined) continue;
      const { rows, drifts } = await reconcileCycle(cycle, parts);
      coverage.saw('view row compared', rows);
      // A score that was lost, and made again by the next event, is behind its view.
      if (system.damage.strikes === 0) judge(drifts);
    } catch (error) {
      if (!(error instanceof OutageError || error instanceof RedisAway || isTransient(error))) throw error;
    }
  }
}

export function judge(drifts: readonly ViewDrift[]): void {
  const voided = drifts.find(({ repair }) => repair === 'voided');
  if (voided !== undefined) throw new Violation('I15', `a sound view was voided: ${JSON.stringify(voided)}`);
}

/** A view at rest has no drift; what somebody changes behind everybody's back is found. The caller checks that it is repaired. */
export async function healTampered(system: System, healer: ViewHealer): Promise<void> {
  const { world, view, store } = system;
  if (!world.swarm.hasView) return;
  const before = await compareAll(system, healer);
  if (before.length > 0)
    throw new Violation('I15', `a view at rest has drifted: ${JSON.stringify(before[0])}`);
  const keys = store
    .committed('board_cycles')
    .filter((cycle) => cycle['final_at'] === null)
    .map(keyOf);
  const key = keys.length === 0 ? null : world.chance.pick(keys);
  const hurt = key === null ? null : view.tamper(key);
  if (hurt === null) return;
  system.damage.hasTamperedViews = true;
  world.coverage.saw('view tampered with');
  const found = await compareAll(system, healer);
  if (world.swarm.healsViews) return; // a worker may have been first
  if (!found.some(({ subject }) => subject === hurt))
    throw new Violation('I15', `the entry of ${hurt} was changed, and nobody found it`);
}

/** Runs the world until every open cycle is compared. */
async function compareAll(system: System, healer: ViewHealer): Promise<readonly ViewDrift[]> {
  const parts = viewPartsOf(system, healer);
  let drifts: ViewDrift[] | null = null;
  const all = async (): Promise<ViewDrift[]> => {
    const found: ViewDrift[] = [];
    for (const cycle of await healer.truth.openCycles({}, null, CYCLES_MAX))
      found.push(...(await reconcileCycle(cycle, parts)).drifts);
    return found;
  };
  all().then((found) => (drifts = found), system.failed);
  await system.world.run(() => drifts !== null || system.bug !== null);
  return drifts ?? [];
}
