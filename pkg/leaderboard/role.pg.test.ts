import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { isTransient } from '../postgres/database.js';
import type { Sql } from '../postgres/port.js';
import { admittedEvent, roleEvent } from '../testkit/admitted-event.js';
import { testDefinition } from '../testkit/definition.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import type { RoleEvent } from '../worker/port.js';
import { commitBatch, definitionWith, NOON_MS, testBoard } from './fixtures.js';
import { fold } from './fold.js';
import { lockScores, saveScores } from './postgres.js';
import { leaderboardRole } from './role.js';
import { postgresBoardTruth } from './truth.postgres.js';
import { BoardView } from './view.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const scoresOf = (gameId: string): Promise<{ subject: string; score: number; revision: number }[]> =>
  database.db.query('SELECT subject, score, revision FROM board_scores WHERE game_id = $1 ORDER BY subject', [
    gameId,
  ]);

const guilds = (gameId: string) => definitionWith(gameId, testBoard({ subjectField: 'guild' }));

const event = (
  definition: ReturnType<typeof guilds>,
  id: string,
  guild: string,
  deltaXp: number,
): RoleEvent => roleEvent(definition, { id, tsMs: NOON_MS, payload: { deltaXp, guild } });

describe('two interleaved transactions on one subject lose nothing', () => {
  const batches = (gameId: string): readonly [RoleEvent[], RoleEvent[]] => {
    const definition = guilds(gameId);
    return [[event(definition, '1', 'g', 5)], [event(definition, '2', 'g', 7)]];
  };

  test('when both find it absent and one inserts it while the other folds', async () => {
    const [first, second] = batches('both-absent');
    await database.db.transaction(async (sql) => {
      const state = await lockScores(sql, first);
      expect(state.size).toBe(0);
      await commitBatch(database.db, second);
      await saveScores(sql, fold(state, first));
    });
    expect(await scoresOf('both-absent')).toEqual([{ subject: 'g', score: 12, revision: 2 }]);
  });

  test('when one waits to insert what the other has inserted', async () => {
    const [first, second] = batches('inserting');
    let other: Promise<void> | null = null;
    await database.db.transaction(async (sql) => {
      await saveScores(sql, fold(await lockScores(sql, first), first));
      other = commitBatch(database.db, second);
      await lockIsAwaited();
    });
    await other;
    expect(await scoresOf('inserting')).toEqual([{ subject: 'g', score: 12, revision: 2 }]);
  });

  test('when one waits for the lock of the other', async () => {
    const [first, second] = batches('locking');
    await commitBatch(database.db, [event(guilds('locking'), '0', 'g', 1)]);
    let other: Promise<void> | null = null;
    await database.db.transaction(async (sql) => {
      const state = await lockScores(sql, first);
      other = commitBatch(database.db, second);
      await lockIsAwaited();
      await saveScores(sql, fold(state, first));
    });
    await other;
    expect(await scoresOf('locking')).toEqual([{ subject: 'g', score: 13, revision: 3 }]);
  });
});

test('a subject that another transaction inserted keeps the better of two, and neighbours keep their own', async () => {
  const definition = definitionWith('best', testBoard({ subjectField: 'guild', aggregate: 'best' }));
  const batch = (of: string, scores: Record<string, number>): RoleEvent[] =>
    Object.entries(scores).map(([guild, score]) => event(definition, `${of}-${guild}`, guild, score));
  const first = batch('first', { a: 5, b: 5, c: 5 });
  await database.db.transaction(async (sql) => {
    const state = await lockScores(sql, first);
    await commitBatch(database.db, batch('second', { a: 7, b: 3 }));
    await saveScores(sql, fold(state, first));
  });
  expect(await scoresOf('best')).toEqual([
    { subject: 'a', score: 7, revision: 1 },
    { subject: 'b', score: 5, revision: 2 },
    { subject: 'c', score: 5, revision: 1 },
  ]);
});

test('a new score of a standing row touches no index', async () => {
  const definition = guilds('heap-only');
  await commitBatch(database.db, [event(definition, '1', 'g', 5)]);
  const second = [event(definition, '2', 'g', 7)];
  await database.db.transaction(async (sql) => {
    const before = await updatesOf(sql);
    await saveScores(sql, fold(await lockScores(sql, second), second));
    const after = await updatesOf(sql);
    expect([after.all - before.all, after.heapOnly - before.heapOnly]).toEqual([1, 1]);
  });
});

test('row 42: workers on the same subjects in any order lose nothing', async () => {
  const definition = guilds('crowded');
  const names = Array.from({ length: 12 }, (_, i) => `g-${String(i)}`);
  const work = async (worker: number): Promise<void> => {
    for (let batch = 0; batch < 10; batch += 1) {
      const turned = [...names.slice((worker * 5) % 12), ...names.slice(0, (worker * 5) % 12)];
      const events = turned.map((name, i) =>
        event(definition, `${String(worker)}-${String(batch)}-${String(i)}`, name, 1),
      );
      for (;;) {
        try {
          await commitBatch(database.db, events);
          break;
        } catch (error) {
          if (!isTransient(error)) throw error;
        }
      }
    }
  };
  await Promise.all([0, 1, 2, 3].map(work));
  const rows = await scoresOf('crowded');
  expect(rows.map(({ score }) => score)).toEqual(names.map(() => 40));
});

test('a batch with a poison event leaves nothing behind', async () => {
  const definition = guilds('poison');
  const poison = roleEvent(definition, { id: '2', payload: { deltaXp: 'much', guild: 'g' } });
  await expect(commitBatch(database.db, [event(definition, '1', 'g', 5), poison])).rejects.toMatchObject({
    code: 'payload_mismatch',
  });
  expect(await scoresOf('poison')).toEqual([]);
});

test('one event counts once in each window of the sample board, whose cycles know when they close', async () => {
  const definition = testDefinition({ gameId: 'windows' });
  await commitBatch(database.db, [
    roleEvent(definition, { id: '1', tsMs: NOON_MS, payload: { deltaXp: 5 } }),
  ]);
  const cycles = await database.db.query<{ cycle: string; closes_at: Date | null }>(
    "SELECT cycle, closes_at FROM board_cycles WHERE game_id = 'windows' ORDER BY cycle",
  );
  expect(cycles.map(({ cycle, closes_at }) => [cycle, closes_at?.toISOString() ?? null])).toEqual([
    ['all-time:all', null],
    ['daily:2026-11-20', '2026-11-21T00:00:00.000Z'],
    ['seasonal:2026-Q4', '2027-01-01T00:00:00.000Z'],
    ['weekly:2026-W47', '2026-11-23T00:00:00.000Z'],
  ]);
  expect((await scoresOf('windows')).map(({ score }) => score)).toEqual([5, 5, 5, 5]);
});

test('the role takes the types that boards are made of, and notes when a board changed', async () => {
  const definition = testDefinition({ gameId: 'takes' });
  const view = new BoardView({
    truth: postgresBoardTruth(database.db),
    store: null,
    definitions: { version: () => Promise.resolve(definition) },
    clock: systemClock,
    log: quietLogger,
  });
  const role = leaderboardRole(view);
  expect(role.takes(definition, 'progression', true)).toBe(true);
  expect(role.takes(definition, 'progression', false)).toBe(false);
  expect(role.takes(definition, 'drop_claimed', true)).toBe(false);

  const events = [{ event: admittedEvent({ id: '1', gameId: 'takes' }), definition }];
  await commitBatch(database.db, events);
  await database.db.query("UPDATE board_cycles SET updated_at = 'epoch' WHERE game_id = 'takes'");
  await role.refresh?.(events);
  expect(
    await database.db.query(
      "SELECT 1 FROM board_cycles WHERE game_id = 'takes' AND updated_at < now() - interval '1 minute'",
    ),
  ).toEqual([]);
});

/** Resolves when some transaction of this database waits for a lock. */
async function lockIsAwaited(): Promise<void> {
  for (;;) {
    const waiting = await database.db.query(
      "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    if (waiting.length > 0) return;
  }
}

/** Rows of board_scores that this connection has updated, and those of them that needed no index entry. */
async function updatesOf(sql: Sql): Promise<{ all: number; heapOnly: number }> {
  const [counts] = await sql.query<{ all: number; heapOnly: number }>(
    `SELECT pg_stat_get_xact_tuples_updated(oid) AS "all", pg_stat_get_xact_tuples_hot_updated(oid) AS "heapOnly"
       FROM pg_class WHERE oid = 'board_scores'::regclass`,
  );
  if (counts === undefined) throw new Error('there is no table board_scores');
  return counts;
}
