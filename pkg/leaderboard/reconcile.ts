import type { Board, DefinitionSource } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import type { BoardKey } from './port.js';
import { describe, storedAs, type RankedSample, type StoredRows } from './view-audit.js';
import { driftOf, isTrue, type Drift, type Sight } from './view-drift.js';
import type { BoardView } from './view.js';
import type { BoardTruth, OpenCycle, TruthRow } from './view-port.js';

export interface ViewReconcileParts {
  readonly truth: BoardTruth;
  readonly stored: StoredRows;
  readonly ranked: RankedSample;
  readonly view: Pick<BoardView, 'refreshSubjects'>;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Pick<Random, 'unit'>;
}

/** A row of a view that was not the truth, twice, too far apart for a refresh to be on its way. */
export interface ViewDrift {
  readonly key: BoardKey;
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
  /** `refreshed`: the row is the truth now. `voided`: the view is not used any more until it is built anew. */
  readonly repair: 'refreshed' | 'voided';
}

export interface ViewStep {
  /** Rows compared. */
  readonly rows: number;
  readonly drifts: readonly ViewDrift[];
  /** The best of the sample, where the board ranks players. */
  readonly players: readonly string[];
}

/** Of each cycle: so many of the best, so many from a place that is drawn, and so many from the truth beside it. */
const SAMPLE_ROWS = 50;
const BEST_PLAYERS = 10;
const NEXT_LOOK_AFTER_MS = 400;
const LOOKS_MAX = 6;

/** Compares a sample of a cycle's view with the truth: the best rows, and some from a place that is drawn. Repairs what drifted. */
export async function reconcileCycle(cycle: OpenCycle, parts: ViewReconcileParts): Promise<ViewStep> {
  const board = await boardOf(cycle, parts);
  if (board === null) return NOTHING;
  const wanted = { count: SAMPLE_ROWS, at: parts.random.unit() };
  const members = await parts.ranked(cycle.key, board.order, cycle.epoch, wanted);
  if (members === null) return NOTHING; // readers do not use it, and whoever keeps views builds it
  const drawn = members[Math.floor(parts.random.unit() * members.length)]?.subject ?? '';
  const page = (after: string): ReturnType<BoardTruth['page']> =>
    parts.truth.page(cycle.key, board.subjectField === null, after, SAMPLE_ROWS);
  const beside = await page(drawn);
  const around = beside.length < SAMPLE_ROWS ? await page('') : [];
  const subjects = new Set([...members, ...beside, ...around].map(({ subject }) => subject));
  const step = await reconcileSubjects(cycle, board, { subjects: [...subjects], draw: wanted }, parts);
  return { ...step, players: board.subjectField === null ? [...subjects].slice(0, BEST_PLAYERS) : [] };
}

/** Compares every row of a player, on every open cycle of boards that rank players, with the views. Repairs what drifted. */
export async function reconcilePlayer(
  { gameId, playerId }: { readonly gameId: string; readonly playerId: string },
  parts: ViewReconcileParts,
): Promise<ViewStep> {
  const steps: Omit<ViewStep, 'players'>[] = [];
  for (const { cycle } of await parts.truth.rowsOfPlayer(gameId, playerId)) {
    const board = await boardOf(cycle, parts);
    if (board?.subjectField === null)
      steps.push(await reconcileSubjects(cycle, board, { subjects: [playerId], draw: null }, parts));
  }
  const rows = steps.reduce((total, step) => total + step.rows, 0);
  return { rows, drifts: steps.flatMap(({ drifts }) => drifts), players: [playerId] };
}

const NOTHING: ViewStep = { rows: 0, drifts: [], players: [] };

async function boardOf(
  { key, definitionVersion }: OpenCycle,
  { definitions }: Pick<ViewReconcileParts, 'definitions'>,
): Promise<Board | null> {
  return (await definitions.version(key.gameId, definitionVersion)).boards.get(key.board) ?? null;
}

interface Sample {
  readonly subjects: readonly string[];
  /** Where the ranking itself is looked at; null: nowhere. */
  readonly draw: { readonly count: number; readonly at: number } | null;
}

async function reconcileSubjects(
  cycle: OpenCycle,
  board: Board,
  sample: Sample,
  parts: ViewReconcileParts,
): Promise<Omit<ViewStep, 'players'>> {
  const { subjects } = sample;
  const first = await look(cycle, board, sample, parts);
  if (first === null) return NOTHING;
  const suspects = subjects.filter((subject) => !isTrue(sightOf(first, subject)));
  const last = await lookAgain(cycle, board, { ...sample, subjects: suspects }, parts);
  if (last === null) return { rows: subjects.length, drifts: [] };
  const drifted = new Map<string, Drift>();
  for (const subject of last.keys()) {
    const drift = driftOf(sightOf(first, subject), sightOf(last, subject));
    if (drift !== null) drifted.set(subject, drift);
  }
  const repair = await repaired(cycle, board, drifted, parts);
  const drifts = [...drifted.keys()].map((subject): ViewDrift => {
    const { truth, held, ranked } = sightOf(last, subject);
    const shown = ranked.map((place) => `ranked ${String(place.score)} at ${String(place.reachedAtMs)}`);
    const found = [describe(held), ...shown].join('; ');
    return { key: cycle.key, subject, expected: describe(truth), found, repair };
  });
  return { rows: subjects.length, drifts };
}

/** By subject; null when the view is not whole at the cycle's epoch any more. */
type Sights = ReadonlyMap<string, Sight>;
const UNSEEN: Sight = { truth: null, held: null, ranked: [] };
const sightOf = (sights: Sights, subject: string): Sight => sights.get(subject) ?? UNSEEN;

/** The truth is read first: then a view can only be behind it by what is on its way, and ahead by what came since. */
async function look(
  cycle: OpenCycle,
  board: Board,
  { subjects, draw }: Sample,
  { truth, stored, ranked }: ViewReconcileParts,
): Promise<Sights | null> {
  const ranksPlayers = board.subjectField === null;
  const rows = await truth.rows(subjects.map((subject) => ({ key: cycle.key, subject, ranksPlayers })));
  if (rows.some((row) => row.cycle.epoch !== cycle.epoch)) return null;
  // A final cycle has no rows, and neither has one that ranks nobody: the second is still among the open ones.
  if (rows.length === 0 && subjects.length > 0 && !(await truth.isOpen(cycle.key))) return null;
  const held = await stored(cycle.key, board.order, cycle.epoch, subjects);
  const members = draw === null ? [] : await ranked(cycle.key, board.order, cycle.epoch, draw);
  if (held === null || members === null) return null;
  const bySubject = new Map(rows.map((row: TruthRow) => [row.row.subject, storedAs(row.row)]));
  return new Map(
    subjects.map((subject, i): [string, Sight] => {
      const shown = members.filter((member) => member.subject === subject);
      return [subject, { truth: bySubject.get(subject) ?? null, held: held[i] ?? null, ranked: shown }];
    }),
  );
}

/** Looks until everything is true or the looks are used up. The last look holds only what still differs. */
async function lookAgain(
  cycle: OpenCycle,
  board: Board,
  { subjects, draw }: Sample,
  parts: ViewReconcileParts,
): Promise<Sights | null> {
  let left = subjects;
  let last: Sights = new Map();
  for (let looks = 1; looks < LOOKS_MAX && left.length > 0; looks += 1) {
    await parts.clock.sleep(NEXT_LOOK_AFTER_MS);
    const sights = await look(cycle, board, { subjects: left, draw }, parts);
    if (sights === null) return null;
    left = left.filter((subject) => !isTrue(sightOf(sights, subject)));
    last = sights;
  }
  return new Map([...last].filter(([subject]) => left.includes(subject)));
}

/** A row that the view was not told of is told again; if that does not help, or it holds what nobody told it, the view is void. */
async function repaired(
  cycle: OpenCycle,
  board: Board,
  drifted: ReadonlyMap<string, Drift>,
  parts: ViewReconcileParts,
): Promise<ViewDrift['repair']> {
  const subjects = [...drifted.keys()];
  if (subjects.length === 0) return 'refreshed';
  if (![...drifted.values()].includes('view')) {
    await parts.view.refreshSubjects(cycle.key, board, subjects);
    const sights = await look(cycle, board, { subjects, draw: null }, parts);
    // What moved on meanwhile is the next step's.
    const isTold = ({ truth, held }: Sight): boolean =>
      truth !== null && (held?.revision ?? -1) >= truth.revision;
    if (sights === null || subjects.every((subject) => isTold(sightOf(sights, subject)))) return 'refreshed';
  }
  await parts.truth.voidCycles([cycle.key]);
  return 'voided';
}
