import { generateKeyPairSync, sign, verify } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { calculateJwkThumbprint } from 'jose';
import { systemRandom } from '../../kernel/random.js';
import { createSealer } from '../../secrets/seal.js';
import { testDatabase } from '../../testkit/postgres.js';
import type { TestDatabase } from '../../testkit/postgres.js';
import { createGameStore } from '../tenants/postgres.js';
import { createReceiptKeys } from './postgres.js';

const sealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 1) }], systemRandom);
let server: TestDatabase;
let gameId: string;
let games = 0;
beforeAll(async () => {
  server = await testDatabase();
});
afterAll(() => server.close());
beforeEach(async () => {
  gameId = `game-${String((games += 1))}`;
  await createGameStore(server.db, sealer, systemRandom).create({ gameId, dedupeFloor: '2026-01-01' });
});
const keys = (): ReturnType<typeof createReceiptKeys> => createReceiptKeys(server.db, sealer);

test('a game’s key is made when first asked for, by one of many processes', async () => {
  const current = await Promise.all([keys(), keys(), keys()].map((store) => store.current(gameId)));
  expect(new Set(current.map(({ kid }) => kid)).size).toBe(1);
  expect((await keys().jwks(gameId)).keys).toHaveLength(1);
});

test('the kid is the RFC 7638 thumbprint, and the public half verifies what the private half signs', async () => {
  const store = keys();
  const { kid, privateKey } = await store.current(gameId);
  const [jwk] = (await store.jwks(gameId)).keys;
  expect(jwk).toEqual({ kty: 'OKP', crv: 'Ed25519', x: jwk?.x, kid, use: 'sig', alg: 'EdDSA' });
  expect(await calculateJwkThumbprint({ kty: 'OKP', crv: 'Ed25519', x: jwk?.x ?? '' })).toBe(kid);
  const known = await store.publicKey(kid);
  expect(known?.gameId).toBe(gameId);
  const receipt = Buffer.from('receipt');
  expect(
    verify(
      null,
      receipt,
      known?.publicKey ?? generateKeyPairSync('ed25519').publicKey,
      sign(null, receipt, privateKey),
    ),
  ).toBe(true);
  expect(await store.publicKey('no-such-kid')).toBeNull();
});

test('a rotated key signs no more, but stays in the JWKS; other processes learn of it', async () => {
  const store = keys();
  const other = keys();
  const old = await store.current(gameId);
  await other.current(gameId);
  const kid = await store.rotate(gameId);
  expect(kid).not.toBe(old.kid);
  expect((await store.current(gameId)).kid).toBe(kid);
  expect((await store.jwks(gameId)).keys.map((key) => key.kid)).toEqual([kid, old.kid]);
  expect((await store.publicKey(old.kid))?.gameId).toBe(gameId);
  await other.refresh();
  expect((await other.current(gameId)).kid).toBe(kid);
});

test('no process makes a key that the others cannot open; one that was made so signs no more, and stays in the JWKS', async () => {
  const foreignSealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 2) }], systemRandom);
  const foreign = createReceiptKeys(server.db, foreignSealer);
  await expect(foreign.current(gameId)).rejects.toMatchObject({ code: 'foreign_master_key' });
  await expect(foreign.rotate(gameId)).rejects.toMatchObject({ code: 'foreign_master_key' });
  const store = keys();
  const { kid } = await store.current(gameId);
  const place = { table: 'receipt_keys', gameId, keyId: kid };
  const sealed = foreignSealer.seal(Buffer.from('lost'), place);
  await server.db.query('UPDATE receipt_keys SET secret = $2 WHERE kid = $1', [kid, sealed]);
  const all = await Promise.all([keys(), keys()].map((one) => one.current(gameId)));
  expect(new Set(all.map((key) => key.kid)).size).toBe(1);
  expect(all[0]?.kid).not.toBe(kid);
  expect((await keys().jwks(gameId)).keys.map((key) => key.kid)).toEqual([all[0]?.kid, kid]);
});

test('the JWKS of one game shows no other game’s keys, and that of all shows both', async () => {
  const store = keys();
  const { kid } = await store.current(gameId);
  const games = createGameStore(server.db, sealer, systemRandom);
  await games.create({ gameId: 'neighbour', dedupeFloor: '2026-01-01' });
  const neighbour = await store.current('neighbour');
  expect((await store.jwks(gameId)).keys.map((key) => key.kid)).toEqual([kid]);
  expect((await store.jwks()).keys.map((key) => key.kid)).toEqual(
    expect.arrayContaining([kid, neighbour.kid]),
  );
  await expect(store.current('nobody')).rejects.toMatchObject({ code: 'game_unknown' });
});
