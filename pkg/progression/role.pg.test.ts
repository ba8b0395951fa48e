import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { jwtVerify } from 'jose';
import type { Sql } from '../postgres/port.js';
import { roleEvent, TEST_TS_MS } from '../testkit/admitted-event.js';
import { testDefinition, testLevels } from '../testkit/definition.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import type { RoleEvent } from '../worker/port.js';
import { createReceiptSigner } from './receipt-signer.js';
import { createProgressionRole } from './role.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const definition = testDefinition();
const steep = testDefinition({ version: 2, levels: testLevels(400) });
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const signer = createReceiptSigner({
  issuer: 'fairtally',
  keys: { current: () => Promise.resolve({ kid: 'k-1', privateKey }) },
});
const asked: number[] = [];
const role = createProgressionRole({
  signer,
  definitions: {
    version: (_gameId, version) => {
      asked.push(version);
      return Promise.resolve(version === 2 ? steep : definition);
    },
  },
});

async function apply(sql: Sql, events: readonly RoleEvent[]): Promise<void> {
  await role.save(sql, role.fold(await role.load(sql, events), events));
}
const commit = (events: readonly RoleEvent[]): Promise<void> =>
  database.db.transaction((sql) => apply(sql, events));

const xp = (playerId: string, id: string, deltaXp: number, under = definition): RoleEvent =>
  roleEvent(under, { id, playerId, payload: { deltaXp } });
const kill = (playerId: string, id: string, bossId: string): RoleEvent =>
  roleEvent(definition, { id, playerId, type: 'boss_kill', payload: { bossId, durationMs: 5 } });

interface Stored {
  readonly total_xp: number;
  readonly level: number;
  readonly definition_version: number;
  readonly revision: number;
  readonly updated_at_ms: number;
}
const stored = async (playerId: string): Promise<Stored | undefined> => {
  const rows = await database.db.query<Stored>(
    `SELECT total_xp, level, definition_version, revision, updated_at_ms FROM player_progress WHERE player_id = $1`,
    [playerId],
  );
  return rows[0];
};
const grantKeys = async (playerId: string): Promise<string[]> => {
  const rows = await database.db.query<{ grant_key: string }>(
    'SELECT grant_key FROM receipts WHERE player_id = $1 ORDER BY grant_key',
    [playerId],
  );
  return rows.map((row) => row.grant_key);
};

/** Resolves when `count` connections of this database wait for a lock. */
async function untilWaiting(count: number): Promise<void> {
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`;
  while ((await database.db.query(waiting)).length < count) continue;
}

test('the role takes what gives XP or a reward, and nothing unmapped', () => {
  expect(
    ['progression', 'boss_kill', 'drop_claimed', 'other'].map((type) => role.takes(definition, type, true)),
  ).toEqual([true, true, true, false]);
  expect(role.takes(definition, 'progression', false)).toBe(false);
  expect(role.takes(testDefinition({ levels: null, rewards: [] }), 'progression', true)).toBe(false);
});

test('a batch leaves the total, the ledger and signed receipts', async () => {
  await commit([xp('whole', 'a', 150), xp('whole', 'b', 250), kill('whole', 'c', 'hydra')]);
  expect(await stored('whole')).toEqual({
    total_xp: 400,
    level: 3,
    definition_version: 1,
    revision: 1,
    updated_at_ms: TEST_TS_MS,
  });
  const ledger = await database.db.query(
    `SELECT delta_xp, ts_ms, dedupe_day, definition_version FROM progress_events WHERE player_id = 'whole' ORDER BY 1`,
  );
  const row = { ts_ms: TEST_TS_MS, dedupe_day: '2026-11-20', definition_version: 1 };
  expect(ledger).toEqual([
    { ...row, delta_xp: 150 },
    { ...row, delta_xp: 250 },
  ]);
  const receipts = await database.db.query<{
    grant_key: string;
    event_id: string;
    receipt_id: string;
    jws: string;
  }>(
    `SELECT grant_key, event_id, receipt_id, jws FROM receipts WHERE player_id = 'whole' ORDER BY grant_key`,
  );
  expect(receipts.map((receipt) => [receipt.grant_key, receipt.event_id])).toEqual([
    ['boss:hydra:trophy', 'c'],
    ['level:2:coins', 'a'],
    ['level:3:coins', 'b'],
  ]);
  for (const { jws, receipt_id, grant_key } of receipts) {
    const { payload } = await jwtVerify(jws, publicKey, { algorithms: ['EdDSA'], audience: 'game:demo' });
    expect(payload).toMatchObject({ sub: 'whole', jti: receipt_id, cause: grant_key });
  }
});

describe('transactions that meet', () => {
  test('two interleaved transactions on the same new player lose nothing and grant once', async () => {
    const { db } = database;
    let second: Promise<void> | undefined;
    await db.transaction(async (sql) => {
      const events = [xp('met', 'a', 150), kill('met', 'b', 'hydra')];
      const state = await role.load(sql, events);
      second = db.transaction((other) => apply(other, [xp('met', 'c', 260), kill('met', 'd', 'hydra')]));
      await untilWaiting(1);
      await role.save(sql, role.fold(state, events));
    });
    await second;
    expect(await stored('met')).toMatchObject({ total_xp: 410, level: 3, revision: 2 });
    expect(await grantKeys('met')).toEqual(['boss:hydra:trophy', 'level:2:coins', 'level:3:coins']);
  });

  test('a transaction that is rolled back leaves the other one whole', async () => {
    const { db } = database;
    let second: Promise<void> | undefined;
    const first = db.transaction(async (sql) => {
      await apply(sql, [xp('rolled', 'a', 500)]);
      second = db.transaction((other) => apply(other, [xp('rolled', 'b', 120)]));
      await untilWaiting(1);
      throw new Error('given up');
    });
    await expect(first).rejects.toThrow('given up');
    await second;
    expect(await stored('rolled')).toMatchObject({ total_xp: 120, level: 2, revision: 1 });
    expect(await grantKeys('rolled')).toEqual(['level:2:coins']);
  });

  test('many at once over the same players, named in any order, end exact and never deadlock', async () => {
    const players = Array.from({ length: 12 }, (_, index) => `crowd-${String(index)}`);
    const batches = Array.from({ length: 24 }, (_, batch) => {
      const turned = players.map((player, index) => players[(index * 5 + batch) % players.length] ?? player);
      return turned.flatMap((player) => [
        xp(player, `x-${String(batch)}`, 100),
        kill(player, `k-${String(batch)}`, 'hydra'),
      ]);
    });
    await Promise.all(batches.map(commit));
    for (const player of players) {
      expect(await stored(player)).toMatchObject({ total_xp: 2_400, level: 5, revision: 24 });
      expect(await grantKeys(player)).toHaveLength(5);
    }
  });
});

test('a cause that comes again in a later batch is granted no second time', async () => {
  await commit([kill('again', 'a', 'hydra'), xp('again', 'b', 100)]);
  const before = await grantKeys('again');
  await commit([kill('again', 'c', 'hydra')]);
  expect(await grantKeys('again')).toEqual(before);
  expect(await stored('again')).toMatchObject({ total_xp: 100, revision: 2 });
});

test('a late event of an older version is levelled by the version that stands', async () => {
  await commit([xp('late', 'a', 0, steep)]);
  asked.length = 0;
  await commit([xp('late', 'b', 400)]);
  expect(asked).toEqual([2]);
  expect(await stored('late')).toMatchObject({ total_xp: 400, level: 2, definition_version: 2 });
});

test('a total near 2^53 is stored exactly, and what would pass it is poison that changes nothing', async () => {
  await commit([xp('rich', 'a', Number.MAX_SAFE_INTEGER - 1)]);
  await expect(commit([xp('rich', 'b', 2)])).rejects.toMatchObject({
    name: 'PoisonError',
    code: 'xp_overflow',
  });
  await commit([xp('rich', 'c', 1)]);
  expect(await stored('rich')).toMatchObject({ total_xp: Number.MAX_SAFE_INTEGER, level: 100 });
});

test('the same transaction run again after a rollback signs the same bytes', async () => {
  const seen: string[] = [];
  const attempt = database.db.transaction(async (sql) => {
    await apply(sql, [kill('twice', 'a', 'hydra')]);
    for (const row of await sql.query<{ jws: string }>(`SELECT jws FROM receipts WHERE player_id = 'twice'`))
      seen.push(row.jws);
    throw new Error('connection lost');
  });
  await expect(attempt).rejects.toThrow('connection lost');
  await commit([kill('twice', 'a', 'hydra')]);
  const rows = await database.db.query<{ jws: string }>(`SELECT jws FROM receipts WHERE player_id = 'twice'`);
  expect(rows.map((row) => row.jws)).toEqual(seen);
});

test('the number of statements does not grow with the batch', async () => {
  const counted = async (size: number): Promise<number> => {
    let statements = 0;
    await database.db.transaction(async (sql) => {
      const counting: Sql = {
        query: (text, values) => {
          statements += 1;
          return sql.query(text, values);
        },
      };
      const players = Array.from({ length: size }, (_, index) => `size-${String(size)}-${String(index)}`);
      await apply(
        counting,
        players.flatMap((player) => [xp(player, 'a', 900), kill(player, 'b', 'golem')]),
      );
    });
    return statements;
  };
  expect([await counted(1), await counted(300)]).toEqual([6, 6]);
});

test('an empty batch runs no statement', async () => {
  await apply({ query: () => Promise.reject(new Error('a statement ran')) }, []);
});

test('batches against the database leave what one batch leaves', async () => {
  let run = 0;
  const steps = fc.array(
    fc.record({
      boss: fc.integer({ min: 0, max: 3 }),
      deltaXp: fc.integer({ min: 0, max: 5_000 }),
      cut: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (list) => {
      run += 1;
      const eventsOf = (player: string): RoleEvent[] =>
        list.map(({ boss, deltaXp }, index) =>
          boss === 0
            ? xp(player, `e-${String(index)}`, deltaXp)
            : kill(player, `e-${String(index)}`, `b-${String(boss)}`),
        );
      const [split, joined] = [`split-${String(run)}`, `joined-${String(run)}`];
      await commit(eventsOf(joined));
      let batch: RoleEvent[] = [];
      for (const [index, event] of eventsOf(split).entries()) {
        batch.push(event);
        if (list[index]?.cut === true || index === list.length - 1) {
          await commit(batch);
          batch = [];
        }
      }
      const one = await stored(joined);
      expect(await stored(split)).toEqual({ ...one, revision: expect.any(Number) });
      expect(await grantKeys(split)).toEqual(await grantKeys(joined));
    }),
    { numRuns: 25 },
  );
});
