import type { Redis } from 'ioredis';
import { lookAtTruth } from '../pkg/audit/player-truth.js';
import type { DefinitionSource } from '../pkg/games/port.js';
import type { ReceiptKeys } from '../pkg/games/port.js';
import { runReconciler } from '../pkg/heal/reconcile.js';
import { playersAfter, postgresWalks } from '../pkg/heal/walks.postgres.js';
import type { Clock } from '../pkg/kernel/clock.js';
import type { Random } from '../pkg/kernel/random.js';
import { reconcileCycle, reconcilePlayer, type ViewReconcileParts } from '../pkg/leaderboard/reconcile.js';
import { scoreRederivation } from '../pkg/leaderboard/rederive.js';
import { redisRankedSample, redisStoredRows } from '../pkg/leaderboard/stored.redis.js';
import { postgresBoardTruth } from '../pkg/leaderboard/truth.postgres.js';
import type { BoardView } from '../pkg/leaderboard/view.js';
import type { Database, KnownLife } from '../pkg/postgres/port.js';
import { createReceiptSigner } from '../pkg/progression/receipt-signer.js';
import { progressRederivation } from '../pkg/progression/rederive.js';
import { healPlayers, rederiverOf, type HealParts } from '../pkg/worker/rederive/heal.js';
import type { RederiveDeps } from '../pkg/worker/rederive/port.js';
import { RECEIPT_ISSUER, type Platform } from './platform.js';
import { takes } from './fairtally/takes.js';

export interface HealEngines {
  readonly db: Database;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly receiptKeys: Pick<ReceiptKeys, 'current'>;
  readonly view: BoardView;
  readonly life: KnownLife;
  readonly clock: Clock;
  readonly random: Random;
  /** Only scores of this board are looked at and made again; all effects unless given. */
  readonly onlyBoard?: string | null;
}

/** What makes players again from the archive: with the roles' own folds, held against the audit's recount. */
export function healParts({
  db,
  definitions,
  receiptKeys,
  view,
  clock,
  random,
  onlyBoard = null,
}: Omit<HealEngines, 'life'>): HealParts {
  const deps: RederiveDeps = {
    db,
    definitions,
    clock,
    random,
    recount: (sql, role, gameId, players) =>
      lookAtTruth(sql, role, gameId, players, { definitions, takes, onlyBoard }),
  };
  const signer = createReceiptSigner({ issuer: RECEIPT_ISSUER, keys: receiptKeys });
  const progress = progressRederivation({ definitions, signer });
  const scores = scoreRederivation({ definitions, view, onlyBoard });
  if (onlyBoard !== null) return { ...deps, rederivers: [rederiverOf(scores, deps)] };
  return { ...deps, rederivers: [rederiverOf(progress, deps), rederiverOf(scores, deps)] };
}

/** The reconciler of boards and players; one worker at a time takes each of its steps. */
export function openHealing(platform: Platform, view: BoardView): void {
  const { config, db, redis, definitions, receiptKeys, clock, random, logger, metrics, lifecycle } = platform;
  if (config.healSeconds === null) return;
  const parts = healParts({ db, definitions, receiptKeys, view, clock, random });
  const loop = runReconciler(
    {
      walks: postgresWalks(db),
      views:
        redis === null
          ? null
          : healableViews(redis, { db, definitions, view, life: platform.life, clock, random }),
      truth: {
        playersAfter: (player, limit) => playersAfter(db, player, limit),
        heal: (gameId, players) => healPlayers(gameId, players, parts),
      },
      clock,
      log: logger,
      metrics,
      everySeconds: config.healSeconds,
    },
    lifecycle.stopping,
  );
  lifecycle.onStop('reconciler of boards', () => loop);
}

type OpenCycle = Parameters<typeof reconcileCycle>[0];

function healableViews(
  redis: Redis,
  engines: Omit<HealEngines, 'receiptKeys'>,
): NonNullable<Parameters<typeof runReconciler<OpenCycle>>[0]['views']> {
  const parts = viewParts(redis, engines);
  return {
    isAway: () => redis.status !== 'ready',
    cyclesAfter: (key, limit) => parts.truth.openCycles({}, key, limit),
    reconcileCycle: (cycle) => reconcileCycle(cycle, parts),
    reconcilePlayer: (player) => reconcilePlayer(player, parts),
  };
}

/** What compares views with the truth, and repairs them. */
export const viewParts = (
  redis: Redis,
  { db, definitions, view, life, clock, random }: Omit<HealEngines, 'receiptKeys'>,
): ViewReconcileParts => ({
  truth: postgresBoardTruth(db),
  stored: redisStoredRows(redis, life),
  ranked: redisRankedSample(redis, life),
  view,
  definitions,
  clock,
  random,
});
