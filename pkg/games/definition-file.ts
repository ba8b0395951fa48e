import { createHash } from 'node:crypto';
import { createCycles } from './cycles.js';
import type { Season } from './cycles.js';
import { readBoards, readReset } from './definitions/boards.js';
import { readDocument } from './definitions/document.js';
import type { Entry } from './definitions/document.js';
import { EventReferences, readEventTypes } from './definitions/event-types.js';
import { readEventRewards } from './definitions/event-rewards.js';
import { readFairness } from './definitions/fairness-metrics.js';
import { DefinitionError, FaultList } from './definitions/faults.js';
import { readLevels } from './definitions/level-rules.js';
import { Reading } from './definitions/reading.js';
import { readDuration, readSeasons } from './definitions/seasons.js';
import { atOnce, inTurns } from './definitions/turns.js';
import type { Turns } from './definitions/turns.js';
import type { Board, EventType, GameDefinition } from './port.js';

export interface DefinitionIdentity {
  readonly gameId: string;
  readonly version: number;
  /** What faults name; `definition` unless told. */
  readonly fileName?: string;
}

/** A definition with what only comparing versions needs. */
export interface ReadDefinition extends GameDefinition {
  /** In the order of time; empty: calendar quarters. */
  readonly seasons: readonly Season[];
}

const KEYS = [
  'game',
  'unknownTypes',
  'grace',
  'reset',
  'seasons',
  'events',
  'levels',
  'rewards',
  'boards',
  'fairness',
];
const UTC_MIDNIGHT = { timeZone: 'UTC', resetHour: 0 } as const;
const DEFAULT_GRACE_MS = 24 * 3_600_000;

/**
 * Reads one game definition (YAML, at most 256 KiB; docs/definition.md). A long one takes a part of a second, in which the
 * process does nothing else: what serves others meanwhile takes one of the two below.
 *
 * @throws DefinitionError with every fault found, each with its line
 */
export const parseDefinition = (source: string, identity: DefinitionIdentity): ReadDefinition =>
  atOnce(reading(source, identity, false));

/**
 * The same, while the event loop goes on.
 *
 * @throws DefinitionError with every fault found, each with its line
 */
export const proveDefinition = (source: string, identity: DefinitionIdentity): Promise<ReadDefinition> =>
  inTurns(reading(source, identity, false));

/**
 * Reads a definition that was proven when it was applied: its schemas are not judged again, and each is compiled when the
 * first event of its type comes. The event loop goes on meanwhile.
 *
 * @throws DefinitionError when it is none after all
 */
export const readProvenDefinition = (source: string, identity: DefinitionIdentity): Promise<ReadDefinition> =>
  inTurns(reading(source, identity, true));

function* reading(source: string, identity: DefinitionIdentity, isProven: boolean): Turns<ReadDefinition> {
  const faults = new FaultList();
  const root = yield* readDocument(source, faults);
  yield;
  const definition =
    root === null ? null : yield* readDefinition(new Reading(faults, isProven), root, identity);
  if (definition === null || !faults.isEmpty) {
    throw new DefinitionError(identity.fileName ?? 'definition', faults.inOrder());
  }
  return definition;
}

/** SHA-256 of a definition's bytes: two versions with the same hash are the same. */
export const hashOfDefinition = (source: string): Buffer =>
  createHash('sha256').update(source, 'utf8').digest();

function* readDefinition(
  reading: Reading,
  root: Entry,
  identity: DefinitionIdentity,
): Turns<ReadDefinition | null> {
  const map = reading.map(root, KEYS);
  if (map === null) return null;
  const { entries } = map;
  const game = entries.get('game');
  if (game !== undefined && !(game.kind === 'scalar' && game.value === identity.gameId)) {
    reading.refuse(game, `is applied to game "${identity.gameId}"; name that game, or remove this line`);
  }
  const unknownTypes = entries.get('unknownTypes');
  const types = yield* readEventTypes(reading, reading.required(map, 'events', '{ ... }'));
  const events = new EventReferences(reading, types);
  const reset = readReset(reading, entries.get('reset'), UTC_MIDNIGHT);
  const boards = readBoards(reading, entries.get('boards'), events, reset);
  const seasons = readSeasons(reading, entries.get('seasons'));
  return {
    gameId: identity.gameId,
    version: identity.version,
    unknownTypes:
      unknownTypes === undefined ? 'store' : (reading.oneOf(unknownTypes, ['store', 'refuse']) ?? 'store'),
    eventTypes: wholeTypes(types),
    boards,
    boardsFor: boardsByEventType(boards),
    seasons,
    ...createCycles(seasons),
    graceMs: readDuration(reading, entries.get('grace'), DEFAULT_GRACE_MS),
    levels: readLevels(reading, entries.get('levels'), events),
    rewards: readEventRewards(reading, entries.get('rewards'), events),
    fairness: readFairness(reading, entries.get('fairness'), events),
  };
}

/** Without the types whose own reading failed; with one of those, the definition is refused anyway. */
function wholeTypes(types: ReadonlyMap<string, EventType | null>): ReadonlyMap<string, EventType> {
  return new Map([...types].flatMap(([name, type]) => (type === null ? [] : [[name, type] as const])));
}

function boardsByEventType(boards: ReadonlyMap<string, Board>): (eventType: string) => readonly Board[] {
  const byType = new Map<string, Board[]>();
  for (const board of boards.values()) {
    const fed = byType.get(board.eventType);
    if (fed === undefined) byType.set(board.eventType, [board]);
    else fed.push(board);
  }
  return (eventType) => byType.get(eventType) ?? NONE;
}

const NONE: readonly Board[] = [];
