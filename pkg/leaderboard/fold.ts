import type { JsonValue } from '../contract/event.js';
import type { Aggregate, Board, Cycle } from '../games/port.js';
import { PoisonError } from '../kernel/errors.js';
import type { RoleEvent } from '../worker/port.js';
import type { BoardKey } from './port.js';

/** What is kept of a subject's events in one cycle. */
export interface Score {
  readonly score: number;
  /** Smallest ts with the score (best, min), ts of the value (last), greatest ts of an amount (sum). */
  readonly reachedAtMs: number;
  /** last: the event whose value it is; sum: the event at reachedAtMs, '' while every amount was 0; else ''. */
  readonly reachedId: string;
  readonly definitionVersion: number;
}

export interface ScoreKey extends BoardKey {
  readonly subject: string;
}

/** What one event gives to one subject in one cycle. */
export interface Contribution {
  /** The text of the whole key. */
  readonly id: string;
  /** The text of the key without its subject. */
  readonly cycleId: string;
  readonly key: ScoreKey;
  readonly board: Board;
  readonly cycle: Cycle;
  readonly score: Score;
}

export interface StoredScore extends Score {
  /** From 1; grows by 1 with each change. */
  readonly revision: number;
  /** Where the locked row stands in its table; null: the row is to be made. */
  readonly place: string | null;
}

/** Locked rows by the text of their key. A subject without a row is absent: no event of it counted before. */
export type LockedScores = ReadonlyMap<string, StoredScore>;

export interface ChangedScore {
  /** The text of the key. */
  readonly id: string;
  readonly key: ScoreKey;
  readonly aggregate: Aggregate;
  readonly row: StoredScore;
}

export interface BoardChanges {
  readonly scores: readonly ChangedScore[];
  readonly cycles: readonly TouchedCycle[];
}

/** A cycle that an event belongs to, with what its row is made of if it is the first. */
export interface TouchedCycle {
  readonly key: BoardKey;
  readonly closesAtMs: number | null;
  readonly definitionVersion: number;
}

const TEXT_MAX_BYTES = 256;
/** Times are ranked as 15 digits in the view. */
const TS_MAX_MS = 999_999_999_999_999;

const known = new WeakMap<RoleEvent, readonly Contribution[]>();

/**
 * What an event gives to the boards of its definition, one per window of each board it fits. A payload without the
 * board's value, subject or partition gives nothing to that board. Remembered per event.
 *
 * @throws PoisonError `payload_mismatch` when a field has another type than the board needs
 */
export function contributionsOf(roleEvent: RoleEvent): readonly Contribution[] {
  let contributions = known.get(roleEvent);
  if (contributions === undefined) {
    contributions = roleEvent.definition
      .boardsFor(roleEvent.event.type)
      .flatMap((board) => contributionsTo(board, roleEvent));
    known.set(roleEvent, contributions);
  }
  return contributions;
}

function contributionsTo(board: Board, { event, definition }: RoleEvent): readonly Contribution[] {
  const { payload, tsMs, gameId } = event;
  for (const [field, values] of board.filter) {
    const value = payload[field];
    if (value === undefined || !values.includes(value)) return [];
  }
  if (tsMs < 0 || tsMs > TS_MAX_MS)
    throw new PoisonError('payload_mismatch', 'ts is beyond what boards can order');
  const { valueField, subjectField, partitionField } = board;
  const value = valueField === null ? 1 : integerOf(payload[valueField], valueField);
  const subject =
    subjectField === null ? textOf(event.playerId, 'playerId') : textOf(payload[subjectField], subjectField);
  const partition = partitionField === null ? '' : textOf(payload[partitionField], partitionField);
  if (value === null || subject === null || partition === null) return [];

  const names = board.aggregate === 'last' || (board.aggregate === 'sum' && value !== 0);
  const score: Score = {
    score: value,
    reachedAtMs: tsMs,
    reachedId: names ? event.id : '',
    definitionVersion: definition.version,
  };
  return definition.cyclesOf(board, tsMs).map((cycle) => {
    const key: ScoreKey = { gameId, board: board.name, cycle: cycle.key, partition, subject };
    const cycleId = boardId(key);
    return { id: `${cycleId}\u0000${subject}`, cycleId, key, board, cycle, score };
  });
}

/** The text of a key. U+0000 cannot stand in any part of it. */
export const scoreId = (key: ScoreKey): string => `${boardId(key)}\u0000${key.subject}`;
export const boardId = (key: BoardKey): string =>
  `${key.gameId}\u0000${key.board}\u0000${key.cycle}\u0000${key.partition}`;

function integerOf(value: JsonValue | undefined, field: string): number | null {
  if (value === undefined) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value === 0 ? 0 : value; // never -0
  throw new PoisonError('payload_mismatch', `${field} is not a safe integer`);
}

const UNFIT = /[\p{Surrogate}\u0000]/u;

function textOf(value: JsonValue | undefined, field: string): string | null {
  if (value === undefined) return null;
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value;
  if (
    typeof text !== 'string' ||
    text === '' ||
    UNFIT.test(text) ||
    Buffer.byteLength(text) > TEXT_MAX_BYTES
  ) {
    throw new PoisonError(
      'payload_mismatch',
      `${field} is not a text of 1 to ${String(TEXT_MAX_BYTES)} bytes`,
    );
  }
  return text;
}

/**
 * The score of two sets of events together. Commutative and associative, so neither order nor batches matter.
 *
 * @throws PoisonError `score_overflow` when a sum leaves the safe integers
 */
export function mergeScores(aggregate: Aggregate, a: Score, b: Score): Score {
  switch (aggregate) {
    case 'best':
      return firstOf(b.score - a.score || a.reachedAtMs - b.reachedAtMs || versionOrder(a, b), a, b);
    case 'min':
      return firstOf(a.score - b.score || a.reachedAtMs - b.reachedAtMs || versionOrder(a, b), a, b);
    case 'last':
      return firstOf(laterFirst(a, b) || b.score - a.score || versionOrder(a, b), a, b);
    case 'sum':
      return sumOf(a, b);
  }
}

const firstOf = (order: number, a: Score, b: Score): Score => (order <= 0 ? a : b);
const versionOrder = (a: Score, b: Score): number => b.definitionVersion - a.definitionVersion;
const laterFirst = (a: Score, b: Score): number =>
  b.reachedAtMs - a.reachedAtMs || Buffer.compare(Buffer.from(b.reachedId), Buffer.from(a.reachedId));

function sumOf(a: Score, b: Score): Score {
  const score = a.score + b.score;
  if (!Number.isSafeInteger(score))
    throw new PoisonError('score_overflow', 'the sum leaves the safe integers');
  const { reachedAtMs, reachedId } = reachedBy(a, b);
  const definitionVersion = Math.max(a.definitionVersion, b.definitionVersion);
  return { score, reachedAtMs, reachedId, definitionVersion };
}

/** Amounts of 0 reach nothing, unless there is nothing else. */
function reachedBy(a: Score, b: Score): Score {
  if (a.reachedId === '' && b.reachedId === '') return a.reachedAtMs <= b.reachedAtMs ? a : b;
  if (a.reachedId === '') return b;
  if (b.reachedId === '') return a;
  return laterFirst(a, b) <= 0 ? a : b;
}

/**
 * Applies events to locked rows: the rows that changed, each with the next revision, and every cycle touched.
 *
 * @throws PoisonError see contributionsOf and mergeScores
 */
export function fold(state: LockedScores, events: readonly RoleEvent[]): BoardChanges {
  const folded = new Map<string, { readonly contribution: Contribution; score: Score }>();
  const cycles = new Map<string, TouchedCycle>();
  for (const roleEvent of events) {
    for (const contribution of contributionsOf(roleEvent)) {
      const { id, cycleId, key, board, cycle, score } = contribution;
      const earlier = folded.get(id);
      const before = earlier === undefined ? state.get(id) : earlier.score;
      const after = before === undefined ? score : mergeScores(board.aggregate, before, score);
      if (earlier === undefined) folded.set(id, { contribution, score: after });
      else earlier.score = after;
      if (cycles.has(cycleId)) continue;
      const { subject: _, ...cycleKey } = key;
      const { definitionVersion } = score;
      cycles.set(cycleId, { key: cycleKey, closesAtMs: cycle.endsAtMs, definitionVersion });
    }
  }
  return { scores: changedScores(state, folded), cycles: [...cycles.values()] };
}

function changedScores(
  state: LockedScores,
  folded: ReadonlyMap<string, { readonly contribution: Contribution; readonly score: Score }>,
): ChangedScore[] {
  const changed: ChangedScore[] = [];
  for (const [id, { contribution, score }] of folded) {
    const stored = state.get(id);
    if (stored !== undefined && isSame(stored, score)) continue;
    const row = rowOf(score, (stored?.revision ?? 0) + 1, stored?.place ?? null);
    changed.push({ id, key: contribution.key, aggregate: contribution.board.aggregate, row });
  }
  return changed;
}

/** Field by field: scores come in several shapes, of which a spread makes slow copies. */
const rowOf = (
  { score, reachedAtMs, reachedId, definitionVersion }: Score,
  revision: number,
  place: string | null,
): StoredScore => ({ score, reachedAtMs, reachedId, definitionVersion, revision, place });

/** Whether two rows hold the same. */
export const isSame = (a: Score, b: Score): boolean =>
  a.score === b.score &&
  a.reachedAtMs === b.reachedAtMs &&
  a.reachedId === b.reachedId &&
  a.definitionVersion === b.definitionVersion;
