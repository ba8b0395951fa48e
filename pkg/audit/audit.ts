import type { DefinitionSource, GameDefinition } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Database, Sql } from '../postgres/port.js';
import { checkFairness, type Rerun } from './check-fairness.js';
import {
  checkEvents,
  compareScores,
  settledIn,
  type Definitions,
  type Rules,
  type Takes,
} from './check-players.js';
import { settled, type Difference, type Looked } from './difference.js';
import { boardsWhere, checkEffects, learnVersions } from './player-truth.js';
import { eventPages, eventsOf, type EventRow } from './events.postgres.js';
import * as store from './postgres.js';
import { ScoreRecount } from './recount.js';
import { loadsOf, weigh } from './weigh.postgres.js';

export interface AuditResult {
  readonly gameId: string;
  readonly players: number;
  readonly events: number;
  readonly differences: readonly Difference[];
  /** false: there are so many differences that the rest was not looked at. */
  readonly isComplete: boolean;
  /** Players that nothing was read of, and why: what they are is not known. */
  readonly unread: readonly UnreadPlayer[];
  /** Open dead letters: no differences, but events that took no effect. */
  readonly letters: readonly store.LetterCount[];
}

export interface UnreadPlayer {
  readonly playerId: string;
  readonly why: string;
}

/** Compares the views that readers may use with the truth of the boards; absent when there is no Redis. */
export type ViewCheck = (gameId: string) => Promise<readonly Difference[]>;

export interface AuditDeps {
  readonly db: Database;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly clock: Pick<Clock, 'sleep'>;
  /** The rule of the roles themselves: which of them take an event type. */
  readonly takes: Takes;
  readonly rerun: Rerun;
  readonly checkView?: ViewCheck;
  readonly onProgress?: (progress: { readonly players: number; readonly differences: number }) => void;
}

const PAGE = { playersMax: 200, eventsMax: 20_000 };
const DIFFERENCES_MAX = 10_000;
const UNREAD_MAX = 1_000;
const SNAPSHOT = { isolation: 'repeatable read', readOnly: true } as const;

/**
 * Compares the archive, joined with each role's inbox, with everything the roles wrote, a page of players per REPEATABLE
 * READ snapshot, then what no page can show. Players whose events are on their way are looked at again.
 *
 * @throws FairtallyError `game_unknown`
 */
export async function auditGame(gameId: string, deps: AuditDeps): Promise<AuditResult> {
  const { db, clock } = deps;
  if (!(await store.gameExists(db, gameId)))
    throw new FairtallyError('game_unknown', `there is no game "${gameId}": name one with --game`);
  const known = new Map<number, GameDefinition>();
  const differences: Difference[] = [];
  const unread: UnreadPlayer[] = [];
  let players = 0;
  let events = 0;
  let after = '';
  let page = await store.playersPage(db, gameId, { after, ...PAGE });
  while (page.length > 0 && differences.length < DIFFERENCES_MAX && unread.length < UNREAD_MAX) {
    const { pages, left } = loadsOf(await weigh(db, gameId, page));
    for (const [playerId, why] of left) unread.push({ playerId, why });
    for (const load of pages) {
      const found = await settled(load, (some) => lookAtPlayers(gameId, some, known, deps), clock);
      differences.push(...found.differences);
      players += load.length;
      events += found.events;
      deps.onProgress?.({ players, differences: differences.length });
    }
    after = page.at(-1) ?? after;
    page = await store.playersPage(db, gameId, { after, ...PAGE });
  }
  const isComplete = page.length === 0;
  const whole = await settled([], () => lookAtWhole(gameId, known, deps), clock);
  differences.push(...whole.differences);
  const letters = await store.lettersOf(db, gameId);
  const shown = differences.slice(0, DIFFERENCES_MAX);
  return { gameId, players, events, differences: shown, isComplete, unread, letters };
}

async function lookAtPlayers(
  gameId: string,
  players: readonly string[],
  known: Map<number, GameDefinition>,
  deps: AuditDeps,
): Promise<Looked> {
  const { db } = deps;
  const rows = await db.transaction((sql) => store.rowsOfPlayers(sql, gameId, players), SNAPSHOT);
  // After the snapshot: it holds no event of a version that does not stand by now.
  const definitions = await learnVersions(db, gameId, known, deps);
  const rules: Rules = { definitions, takes: deps.takes };
  const differences = [
    ...checkEvents(rows.events),
    ...checkEffects(gameId, players, rows, rules),
    ...checkFairness(rows, settledIn('fairness', rows.events, rules), {
      definitions,
      rerun: deps.rerun,
    }),
  ];
  return { events: rows.events.length, differences };
}

/** What no page of players shows: effects without an archived event, boards that rank something else, cycles, counters. */
async function lookAtWhole(
  gameId: string,
  known: Map<number, GameDefinition>,
  deps: AuditDeps,
): Promise<Looked> {
  const differences = await inKnownSnapshot(gameId, known, deps, async (sql, definitions) => [
    ...(await strangers(sql, gameId, definitions)),
    ...(await cycles(sql, gameId)),
    ...(await counters(sql)),
    ...(await subjectScores(sql, gameId, { definitions, takes: deps.takes })),
  ]);
  return { events: 0, differences: [...differences, ...((await deps.checkView?.(gameId)) ?? [])] };
}

const LEARNING_TRIES = 20;

/** A snapshot all of whose versions were read before it began. People apply them: nearly always the first one is. */
async function inKnownSnapshot<T>(
  gameId: string,
  known: Map<number, GameDefinition>,
  deps: AuditDeps,
  look: (sql: Sql, definitions: Definitions) => Promise<T>,
): Promise<T> {
  for (let tries = 0; tries < LEARNING_TRIES; tries += 1) {
    const definitions = await learnVersions(deps.db, gameId, known, deps);
    const looked = await deps.db.transaction(async (sql) => {
      const versions = await store.versionsOf(sql, gameId);
      return versions.every((version) => known.has(version)) ? { found: await look(sql, definitions) } : null;
    }, SNAPSHOT);
    if (looked !== null) return looked.found;
  }
  throw new Error(`versions of ${gameId} are applied faster than they can be read`);
}

async function strangers(sql: Sql, gameId: string, definitions: Definitions): Promise<Difference[]> {
  const unarchived = await store.strangersOf(sql, gameId);
  const unprofiled = await store.unprofiledOf(sql, gameId, [...boardsWhere(definitions, true)]);
  const counts = await store.archiveCounts(sql, gameId);
  const archive: Difference = {
    kind: 'event',
    role: 'archive',
    subject: gameId,
    what: 'archived events',
    expected: `${String(counts.inbox)}, as in the inbox`,
    found: String(counts.events),
  };
  return [
    ...(counts.inbox === counts.events ? [] : [archive]),
    ...unarchived.map(({ role, identity }): Difference => ({
      kind: 'stranger',
      role,
      subject: identity,
      what: 'identity',
      expected: 'archived, or an open dead letter of the archive',
      found: 'known to this role alone',
    })),
    ...unprofiled.map(({ role, table, player_id }): Difference => ({
      kind: 'stranger',
      role,
      subject: player_id,
      what: table,
      expected: 'a player with archived events',
      found: 'rows without any',
    })),
  ];
}

async function cycles(sql: Sql, gameId: string): Promise<Difference[]> {
  const nameOf = ({ cycle, partition }: store.CycleRow): string => `${cycle} ${partition}`.trim();
  const differs = (row: store.CycleRow, what: string, expected: string, found: string): Difference => ({
    kind: 'cycle',
    role: 'leaderboard',
    subject: row.board,
    what,
    expected,
    found,
  });
  const unknown = await store.unknownCyclesOf(sql, gameId);
  const thawed = await store.thawedOf(sql, gameId);
  return [
    ...unknown.map((row) => differs(row, nameOf(row), 'a row of board_cycles', 'scores alone')),
    ...thawed.map((row) =>
      differs(
        row,
        `snapshot ${nameOf(row)} of ${row.subject}`,
        String(row.score ?? 'none'),
        String(row.frozen ?? 'none'),
      ),
    ),
  ];
}

async function counters(sql: Sql): Promise<Difference[]> {
  return (await store.countersOf(sql)).flatMap(({ role, lane, delivered, settled: told, applied, inbox }) => {
    const base = { kind: 'counters', role, subject: role } as const;
    const law = {
      ...base,
      what: `lane ${String(lane)} delivered`,
      expected: String(told),
      found: String(delivered),
    };
    const effects = {
      ...base,
      what: `lane ${String(lane)} applied`,
      expected: String(inbox),
      found: String(applied),
    };
    return [...(delivered === told ? [] : [law]), ...(applied === inbox ? [] : [effects])];
  });
}

/** Boards that rank a payload field gather many players, so they are recounted over the whole archive, in one snapshot. */
async function subjectScores(sql: Sql, gameId: string, rules: Rules): Promise<Difference[]> {
  const names = boardsWhere(rules.definitions, false);
  if (names.size === 0) return [];
  const recount = new ScoreRecount((board) => board.subjectField !== null);
  let after = '';
  for (;;) {
    const page = await store.playersPage(sql, gameId, { after, ...PAGE });
    const last = page.at(-1);
    if (last === undefined) break;
    for await (const events of eventsByLoad(sql, gameId, page))
      for (const event of settledIn('leaderboard', events, rules)) recount.add(event);
    after = last;
  }
  return compareScores(recount.rows, await store.scoresOfBoards(sql, gameId, [...names]));
}

/** The events of a page of players, some thousands at once whatever a player has. */
async function* eventsByLoad(
  sql: Sql,
  gameId: string,
  players: readonly string[],
): AsyncGenerator<readonly EventRow[]> {
  const { pages, left } = loadsOf(await weigh(sql, gameId, players));
  for (const load of pages) yield await eventsOf(sql, gameId, load);
  for (const player of left.keys()) yield* eventPages(sql, gameId, player);
}
