import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Redis } from 'ioredis';
import type { Board } from '../games/port.js';
import { systemClock } from '../kernel/clock.js';
import { createRedisClient, redisReady } from '../redis/client.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { testRedisUrl } from '../testkit/redis.js';
import { commitBatch, definitionWith, NOON_MS, testBoard } from './fixtures.js';
import { postgresPlayerStates } from './hide.postgres.js';
import type { BoardKey, BoardQuestion, BoardSlice, Entry, Place } from './port.js';
import { postgresBoardReader } from './read.postgres.js';
import { redisBoardView } from './redis.js';
import { finalRanks, HiddenPlaces } from './snapshot-read.postgres.js';
import { postgresSnapshots } from './snapshots.postgres.js';
import { postgresBoardTruth } from './truth.postgres.js';
import { BoardView } from './view.js';

let database: TestDatabase;
let redis: Redis;
beforeAll(async () => {
  database = await testDatabase();
  redis = createRedisClient({ url: testRedisUrl() });
  await redisReady(redis, 5_000);
});
afterAll(async () => {
  redis.disconnect();
  await database.close();
});

/** U+FFFD is before the astral characters by bytes and after them by UTF-16 units; braces and colons are ours in keys. */
const ODD_SUBJECTS = [
  'a',
  'B',
  'é',
  'e\u0301',
  '\ufffd',
  '\u{1F600}',
  '\u{10000}',
  'a:b',
  '{x}',
  '|',
  'ab',
  '‮x',
  ' ',
  '1',
  '10',
];

interface Row {
  readonly subject: string;
  readonly score: number;
  readonly reached: number;
  readonly hidden: boolean;
}

const boardsOfRows = fc.uniqueArray(
  fc.record({
    subject: fc.oneof(
      fc.constantFrom(...ODD_SUBJECTS),
      fc.integer({ min: 0, max: 30 }).map((n) => `p-${String(n)}`),
    ),
    score: fc.oneof(
      fc.integer({ min: -1, max: 2 }),
      fc.constantFrom(Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER),
    ),
    reached: fc.integer({ min: 0, max: 2 }),
    hidden: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  }),
  { selector: ({ subject }) => subject, maxLength: 30 },
);

/** The order of design: score, then time reached, then the subject's bytes. */
function modelOf(board: Board, rows: readonly Row[]): Entry[] {
  const sign = board.order === 'asc' ? 1 : -1;
  return rows
    .filter(({ hidden }) => !hidden)
    .sort(
      (a, b) =>
        Math.sign(a.score - b.score) * sign ||
        a.reached - b.reached ||
        Buffer.compare(Buffer.from(a.subject), Buffer.from(b.subject)),
    )
    .map(({ subject, score, reached }, i) => ({
      rank: i + 1,
      subject,
      score,
      reachedAtMs: NOON_MS + reached,
    }));
}

function modelAnswer(ranked: readonly Entry[], board: Board, question: BoardQuestion): BoardSlice {
  const total = ranked.length;
  if (question.kind === 'subjects') {
    return { total, entries: ranked.filter(({ subject }) => question.subjects.includes(subject)) };
  }
  if (question.kind === 'top') {
    const { after, limit } = question;
    if (after === null) return { total, entries: ranked.slice(0, limit) };
    const row = (entry: Place, hidden: boolean): Row => ({
      ...entry,
      reached: entry.reachedAtMs - NOON_MS,
      hidden,
    });
    const withPlace = modelOf(board, [...ranked.map((entry) => row(entry, false)), row(after, false)]);
    const last = withPlace.findLastIndex(
      ({ subject, score, reachedAtMs }) =>
        subject === after.subject && score === after.score && reachedAtMs === after.reachedAtMs,
    );
    const before = new Set(
      withPlace.slice(0, last + 1).map(({ subject, score }) => `${subject} ${String(score)}`),
    );
    return {
      total,
      entries: ranked
        .filter(({ subject, score }) => !before.has(`${subject} ${String(score)}`))
        .slice(0, limit),
    };
  }
  const own = ranked.findIndex(({ subject }) => subject === question.subject);
  if (own < 0) return { total, entries: [] };
  const first = Math.max(0, Math.min(own - Math.floor((question.limit - 1) / 2), total - question.limit));
  return { total, entries: ranked.slice(first, first + question.limit) };
}

function questionsFor(ranked: readonly Entry[]): BoardQuestion[] {
  const places: Place[] = [...ranked.slice(0, 6), { score: 1, reachedAtMs: NOON_MS + 1, subject: 'b' }];
  const subjects = [...ODD_SUBJECTS, 'p-1', 'p-2', 'nobody'];
  return [
    { kind: 'top', limit: 1_000, after: null },
    { kind: 'top', limit: 3, after: null },
    ...places.map(({ score, reachedAtMs, subject }) => ({
      kind: 'top' as const,
      limit: 4,
      after: { score, reachedAtMs, subject },
    })),
    ...subjects
      .slice(0, 8)
      .flatMap((subject) => [1, 4, 7].map((limit) => ({ kind: 'around' as const, subject, limit }))),
    { kind: 'subjects', subjects },
  ];
}

let round = 0;

test('view, truth, snapshot and model give the same answers to every question', async () => {
  const view = redisBoardView(redis, quietLogger, () => 'life');
  const reader = postgresBoardReader(database.db);
  await fc.assert(
    fc.asyncProperty(boardsOfRows, fc.boolean(), async (rows, ascending) => {
      round += 1;
      const board = testBoard({ aggregate: ascending ? 'min' : 'best' });
      const definition = definitionWith(`diff-${String(round)}`, board);
      const { gameId } = definition;
      const key: BoardKey = { gameId, board: board.name, cycle: 'daily:2026-11-20', partition: '' };
      const truth = postgresBoardTruth(database.db);
      const definitions = { version: async () => Promise.resolve(definition) };
      const boards = new BoardView({ truth, store: view, definitions, clock: systemClock, log: quietLogger });
      const events = rows.map(({ subject, score, reached }, i) =>
        roleEvent(definition, {
          id: `e-${String(i)}`,
          playerId: subject,
          tsMs: NOON_MS + reached,
          payload: { deltaXp: score },
        }),
      );
      if (events.length > 0) await commitBatch(database.db, events);
      const players = postgresPlayerStates(database.db);
      for (const { subject, hidden } of rows) {
        if (hidden) await players.setHidden({ gameId, playerId: subject, hidden, by: 'test', reason: null });
      }
      await boards.rebuild({ gameId });
      const cycle = await reader.cycle(key);
      if (cycle === null) return expect(rows).toEqual([]);
      const ranked = modelOf(board, rows);
      const questions = questionsFor(ranked);
      for (const question of questions) {
        const wanted = modelAnswer(ranked, board, question);
        expect(await reader.read(key, board, 'live', question)).toEqual(wanted);
        expect(await view.read(key, board, cycle.epoch, question)).toEqual(wanted);
      }
      await postgresSnapshots(database.db).close(
        { key, closesAtMs: cycle.closesAtMs ?? 0, definitionVersion: 1 },
        board.order,
        NOON_MS,
      );
      const expectFinal = async (standing: readonly Entry[], one = 1, of = 1): Promise<void> => {
        for (const question of questions.filter((_, i) => (i + round) % of === one - 1))
          expect(await reader.read(key, board, 'snapshot', question)).toEqual(
            modelAnswer(standing, board, question),
          );
      };
      const some = rows.slice(0, 4);
      const ranks = async (): Promise<unknown> =>
        Promise.all(
          some.map(({ subject }) =>
            finalRanks(database.db, new HiddenPlaces(), { gameId, playerId: subject }, [key]),
          ),
        );
      const expectRanks = async (standing: readonly Entry[]): Promise<void> => {
        const rankOf = (name: string): number | null =>
          standing.find(({ subject }) => subject === name)?.rank ?? null;
        expect(await ranks()).toEqual(
          some.map(({ subject }) => [{ rank: rankOf(subject), total: standing.length }]),
        );
      };
      await expectFinal(ranked);
      await expectRanks(ranked);
      // Who was hidden is restored and the other way round, which the final ranking tells at once.
      for (const { subject, hidden } of some)
        await players.setHidden({ gameId, playerId: subject, hidden: !hidden, by: 'test', reason: null });
      const turned = modelOf(
        board,
        rows.map((row) => (some.includes(row) ? { ...row, hidden: !row.hidden } : row)),
      );
      await expectFinal(turned, 1, 4);
      await expectRanks(turned);
      await database.db.query('UPDATE leaderboard_snapshots SET place = NULL WHERE game_id = $1', [gameId]);
      await expectFinal(turned, 2, 4);
      expect(await ranks()).toEqual(some.map(() => [null]));
    }),
    { numRuns: 25 },
  );
}, 120_000);
