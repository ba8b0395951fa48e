import type { Clock } from '../kernel/clock.js';
import type { Counter, Logger, Metrics } from '../runtime/port.js';
import type { PlayerRef } from '../worker/port.js';
import type { Healed } from '../worker/rederive/port.js';

export type Walk = 'view' | 'truth';

/** Where each walk stands, for all workers together. */
export interface Walks {
  /** The place to go on from when the next step is due, which is then this caller's; null when it is not. */
  claim(kind: Walk, everySeconds: number): Promise<readonly string[] | null>;
  reached(kind: Walk, place: readonly string[]): Promise<void>;
}

/** One ranked list. */
interface CycleKey {
  readonly gameId: string;
  readonly board: string;
  readonly cycle: string;
  readonly partition: string;
}

interface ViewDrift {
  readonly key: CycleKey;
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
  readonly repair: 'refreshed' | 'voided';
}

interface ViewStep {
  readonly rows: number;
  readonly drifts: readonly ViewDrift[];
  readonly players: readonly string[];
}

/** The views, where there are any. */
export interface HealableViews<Cycle extends { readonly key: CycleKey }> {
  /** Then they are void or will be, and there is nothing to compare. */
  isAway(): boolean;
  cyclesAfter(key: CycleKey | null, limit: number): Promise<readonly Cycle[]>;
  reconcileCycle(cycle: Cycle): Promise<ViewStep>;
  reconcilePlayer(player: PlayerRef): Promise<ViewStep>;
}

export interface HealableTruth {
  playersAfter(player: PlayerRef, limit: number): Promise<readonly PlayerRef[]>;
  heal(gameId: string, players: readonly string[]): Promise<readonly Healed[]>;
}

export interface ReconcilerParts<Cycle extends { readonly key: CycleKey }> {
  readonly walks: Walks;
  /** null: there is no Redis. */
  readonly views: HealableViews<Cycle> | null;
  readonly truth: HealableTruth;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How often a step is taken, by whichever worker. */
  readonly everySeconds: number;
}

/** What a step looks at: a bound, whatever the installation's size. The walk goes on where it stopped, and round. */
const CYCLES_PER_STEP = 5;
const PLAYERS_PER_STEP = 40;
/** Workers ask more often than a step is due, so that one that ends is followed soon. */
const ASK_PART = 3;
const LOGGED_MAX = 20;

interface Tallies {
  readonly drift: Counter;
  readonly checked: Counter;
}

function tallies(metrics: Metrics): Tallies {
  const drift = metrics.counter(
    'fairtally_board_drift_total',
    'Rows of views and players in a role that were not what they are made of: found, and repaired',
    ['kind', 'state'],
  );
  const checked = metrics.counter(
    'fairtally_board_checked_total',
    'Rows of views and players that were compared',
    ['kind'],
  );
  for (const kind of ['view', 'truth'] as const) {
    checked.inc({ kind }, 0);
    for (const state of ['found', 'repaired']) drift.inc({ kind, state }, 0);
  }
  return { drift, checked };
}

/** Takes steps until the signal. Never rejects: what fails is told and tried again. */
export async function runReconciler<Cycle extends { readonly key: CycleKey }>(
  parts: ReconcilerParts<Cycle>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, everySeconds } = parts;
  while (!signal.aborted) {
    await reconcileStep(parts, signal).catch((error: unknown) => {
      log.warn({ err: error }, 'boards and players could not be compared with what they are made of');
    });
    await clock.sleep((everySeconds * 1_000) / ASK_PART, signal);
  }
}

/**
 * One step of each walk that is due: a few cycles of boards, and a few players with every row that they have. What is wrong is
 * told, counted and repaired. A step that is stopped is taken again.
 */
export async function reconcileStep<Cycle extends { readonly key: CycleKey }>(
  parts: ReconcilerParts<Cycle>,
  signal: AbortSignal,
): Promise<void> {
  const counted = tallies(parts.metrics);
  const views = parts.views === null || parts.views.isAway() ? null : parts.views;
  await truthStep(parts, views, counted, signal);
  if (views !== null && !signal.aborted) await viewStep(parts, views, counted, signal);
}

async function viewStep<Cycle extends { readonly key: CycleKey }>(
  parts: ReconcilerParts<Cycle>,
  views: HealableViews<Cycle>,
  counted: Tallies,
  signal: AbortSignal,
): Promise<void> {
  const place = await parts.walks.claim('view', parts.everySeconds);
  if (place === null) return;
  const [gameId, board = '', cycle = '', partition = ''] = place;
  const after = gameId === undefined ? null : { gameId, board, cycle, partition };
  const cycles = await views.cyclesAfter(after, CYCLES_PER_STEP);
  for (const one of cycles) {
    if (signal.aborted) return;
    const step = await views.reconcileCycle(one);
    tellViews(step, parts, counted);
    tellTruth(await parts.truth.heal(one.key.gameId, step.players), parts.log, counted);
    counted.checked.inc({ kind: 'truth' }, step.players.length);
  }
  const key = cycles.length < CYCLES_PER_STEP ? undefined : cycles.at(-1)?.key;
  const reached = key === undefined ? [] : [key.gameId, key.board, key.cycle, key.partition];
  await parts.walks.reached('view', reached);
}

async function truthStep<Cycle extends { readonly key: CycleKey }>(
  parts: ReconcilerParts<Cycle>,
  views: HealableViews<Cycle> | null,
  counted: Tallies,
  signal: AbortSignal,
): Promise<void> {
  const { walks, truth, everySeconds } = parts;
  const place = await walks.claim('truth', everySeconds);
  if (place === null) return;
  const [gameId = '', playerId = ''] = place;
  const players = await truth.playersAfter({ gameId, playerId }, PLAYERS_PER_STEP);
  const games = new Map<string, string[]>();
  for (const player of players)
    games.set(player.gameId, [...(games.get(player.gameId) ?? []), player.playerId]);
  for (const [game, ids] of games) tellTruth(await truth.heal(game, ids), parts.log, counted);
  counted.checked.inc({ kind: 'truth' }, players.length);
  for (const player of views === null ? [] : players) {
    if (signal.aborted) return;
    tellViews(await views?.reconcilePlayer(player), parts, counted);
  }
  const last = players.length < PLAYERS_PER_STEP ? undefined : players.at(-1);
  await walks.reached('truth', last === undefined ? [] : [last.gameId, last.playerId]);
}

function tellViews(
  step: ViewStep | undefined,
  { log }: { readonly log: Logger },
  { drift, checked }: Tallies,
): void {
  if (step === undefined) return;
  checked.inc({ kind: 'view' }, step.rows);
  for (const state of ['found', 'repaired']) drift.inc({ kind: 'view', state }, step.drifts.length);
  for (const { key, subject, expected, found, repair } of step.drifts.slice(0, LOGGED_MAX))
    log.warn({ ...key, subject, expected, found, repair }, 'a view was not the truth');
}

function tellTruth(healed: readonly Healed[], log: Logger, { drift }: Tallies): void {
  for (const { gameId, playerId, role, verdict } of healed) {
    const who = { gameId, playerId, role };
    if (verdict.kind === 'moving') continue; // the walk comes round again
    drift.inc({ kind: 'truth', state: 'found' });
    if (verdict.kind === 'repaired') {
      drift.inc({ kind: 'truth', state: 'repaired' });
      const wrong = verdict.wrong.slice(0, LOGGED_MAX);
      log.warn({ ...who, wrong }, 'a player was not what the events make, and was made again');
    } else if (verdict.kind === 'blocked')
      log.error(
        { ...who, why: verdict.why },
        'a player is not what the events make, and cannot be made again',
      );
    else log.warn({ ...who, kept: verdict.kept.slice(0, LOGGED_MAX) }, 'receipts stand that no event causes');
  }
}
