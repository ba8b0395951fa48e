import type { DefinitionSource } from '../games/port.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Sql } from '../postgres/port.js';
import type { LockedShared, RoleEvent, SharedFault, SharedRederivation } from '../worker/port.js';
import {
  boardId,
  fold,
  isSame,
  scoreId,
  type BoardChanges,
  type ChangedScore,
  type Score,
  type ScoreKey,
  type StoredScore,
  type TouchedCycle,
} from './fold.js';
import { lockKeys } from './postgres.js';
import { saveMade } from './rederive.js';
import { makeRoom, scoresAfter } from './rederive.postgres.js';
import { leaderboardRole } from './role.js';
import type { BoardView } from './view.js';

/** What is counted at once is kept in memory, some hundred bytes a row: whoever has more names one board. */
const ROWS_MAX = 500_000;
const PAGE_ROWS = 5_000;

export interface SubjectRederivationParts {
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly view: Pick<BoardView, 'refreshSubjects' | 'refresh'>;
  readonly gameId: string;
  /** Every row of these is made again, whoever its subject is. */
  readonly boards: ReadonlySet<string>;
}

/** Makes rows of boards again that rank a payload field (guilds): each of them is a fold over events of many players. */
export function subjectRederivation(parts: SubjectRederivationParts): SharedRederivation<ScoreKey> {
  const { view, gameId, boards, definitions } = parts;
  const { takes } = leaderboardRole(view);
  const counted = new CountedScores(boards);
  return {
    role: 'leaderboard',
    takes,
    count: (events) => counted.add(events),
    differing: (sql, lately, limit) => differing(sql, gameId, boards, counted.with(lately), limit),
    lock: (sql, key) => lockSubject(sql, key, counted),
    async refresh({ subject, ...key }) {
      const version = counted.cycles.get(boardId(key))?.definitionVersion;
      const board =
        version === undefined
          ? undefined
          : (await definitions.version(gameId, version)).boards.get(key.board);
      // A cycle that no event belongs to has no board to order it by; its view is void, for its row was removed.
      if (board !== undefined) await view.refreshSubjects(key, board, [subject]);
    },
  };
}

/** Rows as the events make them, and the same with some more events. */
interface Expected {
  of(id: string): ChangedScore | undefined;
  all(): Iterable<ChangedScore>;
  cycle(id: string): TouchedCycle | undefined;
}

/** What the production fold makes of all events that were added, page by page. */
class CountedScores {
  private readonly scores = new Map<string, ChangedScore>();
  private readonly rows = new Map<string, StoredScore>();
  readonly cycles = new Map<string, TouchedCycle>();

  constructor(private readonly boards: ReadonlySet<string>) {}

  add(events: readonly RoleEvent[]): void {
    const { scores, cycles } = this.more(events);
    for (const score of scores) {
      this.scores.set(score.id, score);
      this.rows.set(score.id, score.row);
    }
    for (const cycle of cycles) this.cycles.set(boardId(cycle.key), cycle);
    if (this.rows.size <= ROWS_MAX) return;
    throw new FairtallyError(
      'too_many_rows',
      `the boards have more than ${String(ROWS_MAX)} rows together: name one with --board`,
    );
  }

  /** The rows with some events more, which are not kept. */
  with(events: readonly RoleEvent[]): Expected {
    const { scores, cycles } = this.more(events);
    const later = new Map(scores.map((score): [string, ChangedScore] => [score.id, score]));
    const touched = new Map(cycles.map((cycle) => [boardId(cycle.key), cycle]));
    const counted = this.scores;
    return {
      of: (id) => later.get(id) ?? counted.get(id),
      *all() {
        for (const score of counted.values()) yield later.get(score.id) ?? score;
        for (const score of later.values()) if (!counted.has(score.id)) yield score;
      },
      cycle: (id) => this.cycles.get(id) ?? touched.get(id),
    };
  }

  private more(events: readonly RoleEvent[]): BoardChanges {
    const { scores, cycles } = fold(this.rows, events);
    return {
      scores: scores.filter(({ key }) => this.boards.has(key.board)),
      cycles: cycles.filter(({ key }) => this.boards.has(key.board)),
    };
  }
}

async function differing(
  sql: Sql,
  gameId: string,
  boards: ReadonlySet<string>,
  expected: Expected,
  limit: number,
): Promise<readonly ScoreKey[]> {
  const found: ScoreKey[] = [];
  const right = new Set<string>();
  let after: ScoreKey | null = null;
  for (;;) {
    const page: readonly (ScoreKey & Score)[] = await scoresAfter(sql, gameId, [...boards], after, PAGE_ROWS);
    for (const { score, reachedAtMs, reachedId, definitionVersion, ...key } of page) {
      const id = scoreId(key);
      const wanted = expected.of(id)?.row;
      right.add(id);
      if (wanted !== undefined && isSame(wanted, { score, reachedAtMs, reachedId, definitionVersion }))
        continue;
      found.push(key);
      if (found.length >= limit) return found;
    }
    after = page.at(-1) ?? null;
    if (after === null) break;
  }
  for (const { id, key } of expected.all()) {
    if (right.has(id)) continue;
    found.push(key);
    if (found.length >= limit) break;
  }
  return found;
}

async function lockSubject(sql: Sql, key: ScoreKey, counted: CountedScores): Promise<LockedShared> {
  const id = scoreId(key);
  let rows = await lockKeys(sql, [key]);
  if (rows.size === 0) {
    await makeRoom(sql, [key]);
    rows = await lockKeys(sql, [key]);
  }
  const stored = rows.get(id);
  if (stored === undefined) throw new Error('a row of board_scores is not locked');
  return {
    async save(lately): Promise<SharedFault | null> {
      const expected = counted.with(lately);
      const wanted = expected.of(id);
      const isThere = stored.revision > 0;
      if (wanted === undefined ? !isThere : isThere && isSame(stored, wanted.row)) return null;
      const cycle = expected.cycle(boardId(key));
      if (cycle !== undefined) counted.cycles.set(boardId(key), cycle); // its board is asked for after the commit
      const cycles = wanted === undefined || cycle === undefined ? [] : [cycle];
      const made = { scores: wanted === undefined ? [] : [wanted], cycles };
      await saveMade(sql, key.subject, { keys: new Map([[id, key]]), rows }, made);
      return {
        what: [key.board, key.cycle, key.partition].filter((word) => word !== '').join(' '),
        expected: wanted === undefined ? 'none' : textOf(wanted.row),
        found: isThere ? textOf(stored) : 'none',
      };
    },
  };
}

const textOf = ({ score, reachedAtMs, reachedId }: Score): string =>
  `${String(score)} at ${String(reachedAtMs)}${reachedId === '' ? '' : ` by ${reachedId}`}`;
