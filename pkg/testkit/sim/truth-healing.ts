import { rebuildTruth, type TruthRebuilt } from '../../heal/rebuild.js';
import { runReconciler, type HealableViews, type Walks } from '../../heal/reconcile.js';
import { gamesOf, playersAfter, postgresWalks } from '../../heal/walks.postgres.js';
import type { Clock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import { reconcileCycle, reconcilePlayer, type ViewStep } from '../../leaderboard/reconcile.js';
import type { OpenCycle } from '../../leaderboard/view-port.js';
import { isTransient } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { healPlayers } from '../../worker/rederive/heal.js';
import type { Healed, Verdict } from '../../worker/rederive/port.js';
import { quietMetrics } from '../quiet.js';
import { definitionsOf } from './game.js';
import { Violation } from './ground.js';
import { healPartsOf, healSharedOf, type HealEngines } from './heal-parts.js';
import { lurkAtHealing } from './monkey.js';
import type { SimNode } from './node.js';
import { judge, viewPartsOf } from './self-healing.js';
import { keyText } from './store/meaning.js';
import type { System } from './system.js';

/** Under the locks, what a role makes of the events is what the recount makes of them: nobody else is there. */
const RECOUNT_SAYS = 'the recount says';

/** How much more seldom a step is taken once nothing goes wrong any more: it is the steps that cost. */
const RESTING = 10;

/** What the making anew of the truth came to, and whether there was a reason for it. */
export class TruthWatch {
  /** When the last round over all players began that has ended. */
  walkedSinceMs = -Infinity;
  /** By role and player: when those calls began and ended that made something again. */
  private readonly repairs = new Map<
    string,
    readonly { readonly beganAtMs: number; readonly endedAtMs: number }[]
  >();

  constructor(private readonly system: System) {}

  /** Rounds are one step here: a step takes more players than a world has. */
  walks(walks: Walks): Walks {
    const { world } = this.system;
    let beganAtMs = Infinity;
    return {
      claim: async (kind, everySeconds) => {
        const place = await walks.claim(kind, everySeconds * (world.isHealed ? RESTING : 1));
        if (kind === 'truth' && place !== null) beganAtMs = world.nowMs;
        return place;
      },
      reached: async (kind, place) => {
        await walks.reached(kind, place);
        if (kind === 'truth') this.walkedSinceMs = Math.max(this.walkedSinceMs, beganAtMs);
      },
    };
  }

  /** I6: receipts without a cause come of XP that somebody broke, and of nothing else. */
  private judgeKept(gameId: string, playerId: string, verdict: Verdict): void {
    const { damage, failed } = this.system;
    if (!('kept' in verdict) || verdict.kept.length === 0) return;
    if (!damage.levels.has(keyText(gameId, playerId)))
      failed(new Violation('I6', `receipts that no event causes: ${JSON.stringify(verdict.kept[0])}`));
  }

  /** I15: only what somebody broke is made again, and once; what two find at a time both may tell. */
  judge(healed: readonly Healed[], beganAtMs: number): void {
    const { world, damage } = this.system;
    for (const { gameId, playerId, role, verdict } of healed) {
      world.coverage.saw(`healing: ${verdict.kind}`);
      this.judgeKept(gameId, playerId, verdict);
      if (verdict.kind === 'blocked' && verdict.why.includes(RECOUNT_SAYS))
        this.system.failed(
          new Violation('I15', `${playerId} was not made what it should be: ${verdict.why}`),
        );
      if (verdict.kind !== 'repaired' && verdict.kind !== 'wrong') continue;
      const key = keyText(role, gameId, playerId);
      const repairs = this.repairs.get(key) ?? [];
      const last = repairs.findLast(({ endedAtMs }) => endedAtMs <= beganAtMs);
      if (!damage.struck(role, gameId, playerId, last?.beganAtMs))
        this.system.failed(
          new Violation(
            'I15',
            `${role} of ${gameId} ${playerId} was right and made again: ${JSON.stringify(verdict.wrong.slice(0, 3))}`,
          ),
        );
      if (verdict.kind === 'repaired')
        this.repairs.set(key, [...repairs, { beganAtMs, endedAtMs: world.nowMs }]);
    }
  }
}

function enginesOf(system: System, node: SimNode, db: Database): HealEngines {
  const { rederivation } = system.doubles;
  return {
    ...{ db, definitions: definitionsOf(node), view: system.viewOf(node, db) },
    ...{ clock: node.clock, random: node.random },
    ...(rederivation === undefined ? {} : { double: rederivation }),
  };
}

type Heal = (gameId: string, players: readonly string[], isDryRun?: boolean) => Promise<readonly Healed[]>;

function healerOf(system: System, node: SimNode, engines: HealEngines): Heal {
  const parts = healPartsOf(engines);
  return async (gameId, players, isDryRun = false) => {
    lurkAtHealing(system, node);
    const beganAtMs = system.world.nowMs;
    const healed = await healPlayers(gameId, players, parts, isDryRun);
    system.truthWatch.judge(healed, beganAtMs);
    return healed;
  };
}

/** The reconciler of boards and players of a worker, wired as cmd/heal.ts wires it. */
export async function walkTruth(
  system: System,
  node: SimNode,
  everySeconds: number,
  never: AbortSignal,
): Promise<void> {
  const db = system.databaseOf(node, 'heal');
  const engines = enginesOf(system, node, db);
  const clock: Pick<Clock, 'sleep'> = {
    sleep: (ms, signal) => node.clock.sleep(node.world.isHealed ? ms * RESTING : ms, signal),
  };
  await runReconciler(
    {
      walks: system.truthWatch.walks(postgresWalks(db)),
      views: system.world.swarm.healsViews ? healableViews(system, node, db) : null,
      truth: {
        playersAfter: (player, limit) => playersAfter(db, player, limit),
        heal: healerOf(system, node, engines),
      },
      ...{ clock, log: system.log, metrics: quietMetrics, everySeconds },
    },
    never,
  );
}

function healableViews(system: System, node: SimNode, db: Database): HealableViews<OpenCycle> {
  const parts = viewPartsOf(system, system.healerOf(node, db));
  const judged = (step: ViewStep): ViewStep => {
    system.world.coverage.saw('view row compared', step.rows);
    const { strikes, hasTamperedViews } = system.damage;
    if (strikes === 0 && !hasTamperedViews) system.guarded(() => judge(step.drifts));
    return step;
  };
  return {
    isAway: () => !system.view.isUp,
    cyclesAfter: (key, limit) => parts.truth.openCycles({}, key, limit),
    reconcileCycle: async (cycle) => judged(await reconcileCycle(cycle, parts)),
    reconcilePlayer: async (player) => judged(await reconcilePlayer(player, parts)),
  };
}

const PAUSE_MS = 20_000;

/** `rebuild truth --all`, now and then, while everything else goes wrong. */
export async function rebuildWhileItRuns(system: System, node: SimNode): Promise<void> {
  const { world } = node;
  while (!world.isHealed) {
    await node.clock.sleep(world.chance.between(0, PAUSE_MS) * world.swarm.pace);
    if (world.isHealed) return;
    try {
      await rebuildAll(system, node, false);
      world.coverage.saw('truth rebuilt');
    } catch (error) {
      if (!(error instanceof OutageError || isTransient(error))) throw error;
    }
  }
}

/** What cmd/fairtally/rebuild-truth.ts wires for everybody. */
export async function rebuildAll(system: System, node: SimNode, isDryRun: boolean): Promise<TruthRebuilt> {
  const db = system.databaseOf(node, 'heal');
  const engines = enginesOf(system, node, db);
  const scope = { rows: 'all', gameId: null, playerId: null, after: '', isDryRun } as const;
  return rebuildTruth(scope, {
    playersAfter: (player, limit, ofGame) => playersAfter(db, player, limit, ofGame),
    heal: healerOf(system, node, engines),
    healShared: async () => {
      const healed: Healed[] = [];
      const left: Healed[] = [];
      for (const gameId of await gamesOf(db)) {
        const found = await healSharedOf(gameId, engines, isDryRun);
        judgeShared(system, found.healed);
        healed.push(...found.healed);
        left.push(...found.left);
      }
      return { healed, left, isCut: false };
    },
    clock: node.clock,
  });
}

/** I15 of boards that rank something else than players. */
function judgeShared({ world, damage, failed }: System, healed: readonly Healed[]): void {
  for (const { gameId, playerId: subject, verdict } of healed) {
    world.coverage.saw(`healing of a board: ${verdict.kind}`);
    if (verdict.kind !== 'repaired' && verdict.kind !== 'wrong') continue;
    const isStruck = [...damage.sharedScores].some(
      (key) => key.startsWith(keyText(gameId, '')) && key.endsWith(keyText('', subject)),
    );
    if (!isStruck)
      failed(
        new Violation(
          'I15',
          `the row of ${subject} of ${gameId} was right and made again: ${JSON.stringify(verdict.wrong)}`,
        ),
      );
  }
}

/** I15: of a world at rest nothing is to be made again; what somebody broke of boards of guilds is, and told. */
export async function rebuildAtRest(system: System): Promise<void> {
  const { world, admin } = system;
  let rebuilt: TruthRebuilt | null = null;
  rebuildAll(system, admin, false).then((done) => (rebuilt = done), system.failed);
  await world.run(() => rebuilt !== null || system.bug !== null);
  const { left, moving } = rebuilt ?? { left: [], moving: [] };
  const [one] = [...left, ...moving];
  if (one !== undefined)
    throw new Violation('I15', `nothing goes on, and stays wrong: ${JSON.stringify(one)}`);
}
