import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { createRedisClient, redisReady } from '../redis/client.js';
import { roleEvent } from '../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { testRedisUrl } from '../testkit/redis.js';
import { commitBatch, definitionWith, handClock, NOON_MS, testBoard } from './fixtures.js';
import { setHidden } from './hide.js';
import { postgresPlayerStates } from './hide.postgres.js';
import { reconcileCycle, reconcilePlayer, type ViewReconcileParts, type ViewStep } from './reconcile.js';
import { redisBoardView } from './redis.js';
import { redisRankedSample, redisStoredRows } from './stored.redis.js';
import { postgresBoardTruth } from './truth.postgres.js';
import { BoardView } from './view.js';

const GAME = 'reconciled';
const definition = definitionWith(GAME, testBoard());
const definitions = { version: () => Promise.resolve(definition) };
const gain = (id: string, playerId: string, deltaXp: number) =>
  roleEvent(definition, { id, playerId, tsMs: NOON_MS, payload: { deltaXp } });
const NAME = `lb:{${GAME}:xp::${encodeURIComponent('daily:2026-11-20')}}`;

let database: TestDatabase;
let redis: Redis;
let view: BoardView;
beforeAll(async () => {
  database = await testDatabase();
  redis = createRedisClient({ url: testRedisUrl() });
  await redisReady(redis, 5_000);
  view = new BoardView({
    truth: postgresBoardTruth(database.db),
    store: redisBoardView(redis, quietLogger, () => 'life'),
    definitions,
    clock: handClock(NOON_MS),
    log: quietLogger,
  });
  await commitBatch(
    database.db,
    Array.from({ length: 8 }, (_, i) => gain(`e${String(i)}`, `p${String(i)}`, 10 + i)),
  );
  const players = postgresPlayerStates(database.db);
  const hide = { gameId: GAME, playerId: 'p5', hidden: true, by: 'test', reason: null };
  await setHidden({ players, view }, hide);
});
afterAll(async () => {
  redis.disconnect();
  await database.close();
});
beforeEach(async () => {
  await view.rebuild({ gameId: GAME });
});

const parts = (onSleep: () => Promise<void> = async () => undefined): ViewReconcileParts => ({
  truth: postgresBoardTruth(database.db),
  stored: redisStoredRows(redis, () => 'life'),
  ranked: redisRankedSample(redis, () => 'life'),
  view,
  definitions,
  clock: { sleep: onSleep },
  random: { unit: () => 0 },
});
async function reconcile(given = parts()): Promise<ViewStep> {
  const [cycle] = await given.truth.openCycles({ gameId: GAME }, null, 1);
  if (cycle === undefined) throw new Error('there is no cycle');
  return reconcileCycle(cycle, given);
}
const told = ({ drifts }: ViewStep): string[][] => drifts.map(({ subject, repair }) => [subject, repair]);

const memberOf = async (subject: string): Promise<string> =>
  ((await redis.hget(`${NAME}:rows`, subject)) ?? '').split('|')[1] ?? '';
const count = (by: number): Promise<unknown> => redis.hincrby(`${NAME}:rows`, '\0visible', by);

test('a view that is the truth has no drift, hidden players included', async () => {
  expect(await reconcile()).toMatchObject({ rows: 8, drifts: [] });
  expect(await reconcilePlayer({ gameId: GAME, playerId: 'p5' }, parts())).toMatchObject({
    rows: 1,
    drifts: [],
  });
});

test.each<[string, () => Promise<unknown>, string[]]>([
  ['a changed score', async () => redis.zadd(NAME, '-999', await memberOf('p3')), ['p3', 'voided']],
  [
    'a lost member',
    async () => {
      await redis.zrem(NAME, await memberOf('p3'));
      return count(-1);
    },
    ['p3', 'voided'],
  ],
  [
    'a member of nobody',
    async () => {
      await redis.zadd(NAME, '-999', `${'1'.padStart(15, '0')}:nobody`);
      return count(1);
    },
    ['nobody', 'voided'],
  ],
  [
    'a second member of a player',
    async () => {
      await redis.zadd(NAME, '-999', `${'1'.padStart(15, '0')}:p3`);
      return count(1);
    },
    ['p3', 'voided'],
  ],
  ['a lost row', () => redis.hdel(`${NAME}:rows`, 'p3'), ['p3', 'refreshed']],
  ['a lost tombstone', () => redis.hdel(`${NAME}:rows`, 'p5'), ['p5', 'refreshed']],
  [
    'a row that was never told',
    () => commitBatch(database.db, [gain('untold', 'p3', 5)]),
    ['p3', 'refreshed'],
  ],
  ['a revision from nowhere', () => redis.hset(`${NAME}:rows`, 'p5', '77|'), ['p5', 'voided']],
])('%s is found and repaired', async (_, corrupt, expected) => {
  await corrupt();
  expect(told(await reconcile())).toEqual([expected]);
  await view.check(); // builds what is void
  expect(await reconcile()).toMatchObject({ rows: 8, drifts: [] });
});

test('a player’s own rows are compared too, however far down the board', async () => {
  await redis.hdel(`${NAME}:rows`, 'p0');
  expect(told(await reconcilePlayer({ gameId: GAME, playerId: 'p0' }, parts()))).toEqual([
    ['p0', 'refreshed'],
  ]);
  expect(await reconcile()).toMatchObject({ drifts: [] });
});

test('a row in motion is looked at again, and is no drift when its refresh arrives', async () => {
  const event = gain('in-motion', 'p2', 5);
  await commitBatch(database.db, [event]);
  let looks = 0;
  const step = await reconcile(
    parts(async () => {
      looks += 1;
      if (looks === 2) await view.refresh([event]);
    }),
  );
  expect([looks, step.drifts]).toEqual([2, []]);
});

describe('a cycle that closes while it is compared is no drift,', () => {
  const close = (isFinal: boolean): Promise<unknown> =>
    database.db.query(
      `UPDATE board_cycles SET final_at = ${isFinal ? 'now()' : 'NULL'} WHERE game_id = '${GAME}'`,
    );
  afterEach(() => close(false));
  /** Closes before a look of the truth. */
  const closingAt = (lookNo: number): ViewReconcileParts => {
    const given = parts();
    let looks = 0;
    return {
      ...given,
      truth: {
        ...given.truth,
        rows: async (subjects) => {
          looks += 1;
          if (looks === lookNo) await close(true);
          return given.truth.rows(subjects);
        },
      },
    };
  };
  test.each([1, 2, 3])('at look %i of a sample of it', async (lookNo) => {
    await redis.hdel(`${NAME}:rows`, 'p3'); // something to look at again
    expect((await reconcile(closingAt(lookNo))).drifts).toEqual([]);
    expect(await redis.exists(`${NAME}:mark`)).toBe(1);
  });
  test.each([1, 2, 3])('at look %i of a player', async (lookNo) => {
    await redis.hdel(`${NAME}:rows`, 'p3');
    expect((await reconcilePlayer({ gameId: GAME, playerId: 'p3' }, closingAt(lookNo))).drifts).toEqual([]);
  });
  test('while one that stays open is told', async () => {
    await redis.hdel(`${NAME}:rows`, 'p3');
    expect(told(await reconcile(closingAt(99)))).toEqual([['p3', 'refreshed']]);
  });
});

test('a view that is being built is not judged', async () => {
  await redis.zadd(NAME, '-999', await memberOf('p3'));
  await postgresBoardTruth(database.db).voidCycles([
    { gameId: GAME, board: 'xp', cycle: 'daily:2026-11-20', partition: '' },
  ]);
  expect(await reconcile()).toMatchObject({ rows: 0, drifts: [] });
});
