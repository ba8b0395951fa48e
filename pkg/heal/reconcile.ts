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
  readonly unread: Counter;
}

/** Players that were named as not read; they are named once by a process, or again when there are very many. */
export type Named = Set<string>;
const NAMED_MAX = 1_000;

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
  const unread = metrics.counter(
    'fairtally_players_unread_total',
    'Times that a player was left because there is too much of them, or reading failed: the log names them',
  );
  unread.inc({}, 0);
  return { drift, checked, unread };
}

/** Takes steps until the signal. Never rejects: what fails is told and tried again. */
export async function runReconciler<Cycle extends { readonly key: CycleKey }>(
  parts: ReconcilerParts<Cycle>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, everySeconds } = parts;
  const named: Named = new Set();
  while (!signal.aborted) {
    await reconcileStep(parts, signal, named);
    await clock.sleep((everySeconds * 1_000) / ASK_PART, signal);
  }
}

/**
 * One step of each walk that is due: a few cycles of boards, and a few players with every row that they have. What is wrong is
 * told, counted and repaired. A step that is stopped is taken again; one that fails is told, keeps the other walk from nothing,
 * and goes on behind what it failed at.
 */
export async function reconcileStep<Cycle extends { readonly key: CycleKey }>(
  parts: ReconcilerParts<Cycle>,
  signal: AbortSignal,
  named: Named = new Set(),
): Promise<void> {
  const step: Step<Cycle> = { parts, counted: tallies(parts.metrics), named, signal };
  const views = parts.views === null || parts.views.isAway() ? null : parts.views;
  const told = (walk: Walk) => (error: unknown) =>
    parts.log.warn(
      { err: error, walk },
      'boards and players could not be compared with what they are made of',
    );
  await truthStep(step, views).catch(told('truth'));
  if (views !== null && !signal.aborted) await viewStep(step, views).catch(told('view'));
}

interface Step<Cycle extends { readonly key: CycleKey }> {
  readonly parts: ReconcilerParts<Cycle>;
  readonly counted: Tallies;
  readonly named: Named;
  readonly signal: AbortSignal;
}

async function viewStep<Cycle extends { readonly key: CycleKey }>(
  { parts, counted, named, signal }: Step<Cycle>,
  views: HealableViews<Cycle>,
): Promise<void> {
  const { walks, truth, everySeconds } = parts;
  const place = await walks.claim('view', everySeconds);
  if (place === null) return;
  const [gameId, board = '', cycle = '', partition = ''] = place;
  const after = gameId === undefined ? null : { gameId, board, cycle, partition };
  const cycles = await views.cyclesAfter(after, CYCLES_PER_STEP);
  const key = cycles.length < CYCLES_PER_STEP ? undefined : cycles.at(-1)?.key;
  const end = key === undefined ? [] : [key.gameId, key.board, key.cycle, key.partition];
  await goingOn('view', end, walks, signal, async () => {
    for (const one of cycles) {
      if (signal.aborted) return;
      const step = await views.reconcileCycle(one);
      tellViews(step, parts, counted);
      tellTruth(await truth.heal(one.key.gameId, step.players), parts.log, counted, named);
      counted.checked.inc({ kind: 'truth' }, step.players.length);
    }
  });
}

async function truthStep<Cycle extends { readonly key: CycleKey }>(
  { parts, counted, named, signal }: Step<Cycle>,
  views: HealableViews<Cycle> | null,
): Promise<void> {
  const { walks, truth, everySeconds } = parts;
  const place = await walks.claim('truth', everySeconds);
  if (place === null) return;
  const [gameId = '', playerId = ''] = place;
  const players = await truth.playersAfter({ gameId, playerId }, PLAYERS_PER_STEP);
  const games = new Map<string, string[]>();
  for (const player of players)
    games.set(player.gameId, [...(games.get(player.gameId) ?? []), player.playerId]);
  const last = players.length < PLAYERS_PER_STEP ? undefined : players.at(-1);
  const end = last === undefined ? [] : [last.gameId, last.playerId];
  await goingOn('truth', end, walks, signal, async () => {
    for (const [game, ids] of games) tellTruth(await truth.heal(game, ids), parts.log, counted, named);
    counted.checked.inc({ kind: 'truth' }, players.length);
    for (const player of views === null ? [] : players) {
      if (signal.aborted) return;
      tellViews(await views?.reconcilePlayer(player), parts, counted);
    }
  });
}

/** Works up to a place, and goes on from there next time whatever became of the work, unless it was stopped. */
async function goingOn(
  kind: Walk,
  place: readonly string[],
  walks: Walks,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } finally {
    if (!signal.aborted) await walks.reached(kind, place);
  }
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

function tellTruth(healed: readonly Healed[], log: Logger, { drift, unread }: Tallies, named: Named): void {
  for (const { gameId, playerId, role, verdict } of healed) {
    const who = { gameId, playerId, role };
    if (verdict.kind === 'moving') continue; // the walk comes round again
    if (verdict.kind === 'unread') {
      unread.inc();
      tellUnread(who, verdict.why, log, named);
      continue;
    }
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

function tellUnread(who: Omit<Healed, 'verdict'>, why: string, log: Logger, named: Named): void {
  const name = [who.gameId, who.playerId].join('\u0000');
  if (named.has(name)) return;
  if (named.size >= NAMED_MAX) named.clear();
  named.add(name);
  log.error({ ...who, why }, 'a player was left: whether it is what the events make is not known');
}
