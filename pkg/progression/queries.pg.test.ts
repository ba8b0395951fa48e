import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { roleEvent, TEST_TS_MS } from '../testkit/admitted-event.js';
import { testDefinition, testLevels } from '../testkit/definition.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import type { RoleEvent } from '../worker/port.js';
import type { Page, PageRequest } from '../contract/keyset-page.js';
import type { ProgressionReads } from './port.js';
import { createProgressionReads, isReceiptRevoked } from './queries.postgres.js';
import { createReceiptSigner } from './receipt-signer.js';
import { receiptIdOf, verifyReceipt } from './receipts.js';
import { createProgressionRole } from './role.js';

const definition = testDefinition({ levels: testLevels(100, 5) });
const definitions = { version: () => Promise.resolve(definition) };
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const keys = { current: () => Promise.resolve({ kid: 'k-1', privateKey }) };
const role = createProgressionRole({
  definitions,
  signer: createReceiptSigner({ issuer: 'fairtally', keys }),
});

let database: TestDatabase;
let reads: ProgressionReads;

const drop = (playerId: string, n: number, tsMs: number): RoleEvent =>
  roleEvent(definition, {
    id: `d-${String(n)}`,
    playerId,
    tsMs,
    type: 'drop_claimed',
    payload: { dropId: `d-${String(n)}`, itemId: 'potion' },
  });
const xp = (playerId: string, id: string, deltaXp: number, tsMs = TEST_TS_MS): RoleEvent =>
  roleEvent(definition, { id, playerId, tsMs, payload: { deltaXp } });

beforeAll(async () => {
  database = await testDatabase();
  reads = createProgressionReads(database.db, definitions);
  const drops = Array.from({ length: 25 }, (_, n) => drop('p-1', n, TEST_TS_MS - (n % 3)));
  const gains = Array.from({ length: 7 }, (_, n) => xp('p-1', `x-${String(n)}`, 40, TEST_TS_MS + (n % 2)));
  const events = [...drops, ...gains, drop('p-2', 0, TEST_TS_MS), xp('rich', 'a', 100_000)];
  await database.db.transaction(async (sql) => {
    await role.save(sql, role.fold(await role.load(sql, events), events));
  });
});
afterAll(() => database.close());

/** All items of a list, page by page. */
async function all<Item>(list: (page: PageRequest) => Promise<Page<Item>>, limit: number): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor: string | null = null, more = true; more; more = cursor !== null) {
    const page: Page<Item> = await list({ limit, cursor });
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}

describe('progress', () => {
  test('tells the level and the totals at which it began and the next begins', async () => {
    expect(await reads.progress('demo', 'p-1')).toEqual({
      playerId: 'p-1',
      totalXp: 280,
      level: 2,
      levelStartsAtXp: 100,
      nextLevelAtXp: 400,
      definitionVersion: 1,
    });
  });

  test('has no next level at the highest', async () => {
    expect(await reads.progress('demo', 'rich')).toMatchObject({
      level: 5,
      levelStartsAtXp: 1_600,
      nextLevelAtXp: null,
    });
  });

  test('is null for a player of whom nothing counted, in this game', async () => {
    expect(await reads.progress('demo', 'nobody')).toBeNull();
    expect(await reads.progress('other', 'p-1')).toBeNull();
  });
});

describe('receipts', () => {
  test.each([1, 4, 26, 1_000])('come oldest cause first, each once, in pages of %d', async (limit) => {
    const items = await all((page) => reads.receipts('demo', 'p-1', page), limit);
    const order = items.map((item) => [item.tsMs, item.cause] as const);
    expect(order).toHaveLength(26);
    expect(order).toEqual([...order].sort((a, b) => a[0] - b[0] || (a[1] < b[1] ? -1 : 1)));
    expect(items[0]).toMatchObject({ playerId: 'p-1', reward: 'potion', amount: 1, revokedAtMs: null });
  });

  test('one receipt is found by its id, byte for byte, and not from another game', async () => {
    const [item] = (await reads.receipts('demo', 'p-2', { limit: 1, cursor: null })).items;
    const receiptId = receiptIdOf('demo', 'p-2', 'drop:d-0');
    expect(await reads.receipt('demo', receiptId)).toEqual(item);
    expect(await reads.receipt('other', receiptId)).toBeNull();
  });

  test('revoked ones are listed oldest revocation first, also when revoked at one instant', async () => {
    expect(await reads.revoked('demo', { limit: 10, cursor: null })).toEqual({ items: [], nextCursor: null });
    await database.db.query(
      `UPDATE receipts SET revoked_at = timestamptz '2026-11-20 00:00:00.000001+00' + (substr(grant_key, 8)::int / 4) * interval '1 us'
        WHERE player_id = 'p-1' AND grant_key LIKE 'drop:%'`,
    );
    const ids = await all((page) => reads.revoked('demo', page), 3);
    expect(new Set(ids.map((item) => item.receiptId)).size).toBe(25);
    expect(ids[0]?.revokedAtMs).toBe(Date.UTC(2026, 10, 20));
    expect(await reads.revoked('other', { limit: 10, cursor: null })).toEqual({
      items: [],
      nextCursor: null,
    });
  });

  test('a revoked receipt fails the check, another one passes it', async () => {
    const authority = {
      issuer: 'fairtally',
      publicKey: () => Promise.resolve({ gameId: 'demo', publicKey }),
      isRevoked: (gameId: string, receiptId: string) => isReceiptRevoked(database.db, gameId, receiptId),
    };
    const jwsOf = async (playerId: string): Promise<string> =>
      (await reads.receipt('demo', receiptIdOf('demo', playerId, 'drop:d-0')))?.jws ?? '';
    expect(await verifyReceipt(await jwsOf('p-1'), authority)).toMatchObject({
      valid: false,
      code: 'revoked',
    });
    expect(await verifyReceipt(await jwsOf('p-2'), authority)).toMatchObject({ valid: true, revoked: false });
  });
});

test.each([1, 3, 7, 100])('XP history comes latest first, each event once, in pages of %d', async (limit) => {
  const items = await all((page) => reads.xpHistory('demo', 'p-1', page), limit);
  expect(items.map((item) => item.tsMs)).toEqual([1, 1, 1, 0, 0, 0, 0].map((ms) => TEST_TS_MS + ms));
  expect(new Set(items.map((item) => item.identity)).size).toBe(7);
  expect(items[0]).toMatchObject({ deltaXp: 40, definitionVersion: 1 });
});

describe('pages', () => {
  test.each([0, 1_001, 1.5, -1, NaN])('limit %p is refused', async (limit) => {
    await expect(reads.receipts('demo', 'p-1', { limit, cursor: null })).rejects.toMatchObject({
      code: 'bad_limit',
    });
  });

  const text = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  test.each([
    '',
    '%%%',
    'x'.repeat(5_000),
    text({}),
    text(['1']),
    text(['1', 'drop:d-1', 'more']),
    text(["1'; DROP TABLE receipts; --", 'drop:d-1']),
    text([1, 'drop:d-1']),
    text(['1', 'drop\u0000']),
  ])('cursor %# that no list made is refused', async (cursor) => {
    await expect(reads.receipts('demo', 'p-1', { limit: 5, cursor })).rejects.toMatchObject({
      code: 'bad_cursor',
    });
  });

  test("another list's cursor is refused or harmless, and another player's shows nothing of that player", async () => {
    const { nextCursor } = await reads.receipts('demo', 'p-1', { limit: 3, cursor: null });
    await expect(reads.revoked('demo', { limit: 3, cursor: nextCursor })).rejects.toMatchObject({
      code: 'bad_cursor',
    });
    const { items } = await reads.receipts('demo', 'p-2', { limit: 100, cursor: nextCursor });
    expect(items.every((item) => item.playerId === 'p-2')).toBe(true);
  });
});
