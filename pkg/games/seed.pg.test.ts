import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { createSealer } from '../secrets/seal.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { createDefinitionStore } from './definitions/postgres.js';
import { createKeyStore } from './keys/postgres.js';
import { describeSeed, ensureGame, type GameSeed } from './seed.js';
import { createGameStore, refuseForeignMasterKey } from './tenants/postgres.js';

const sealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 1) }], systemRandom);
const source = readFileSync(new URL('../../sample_events/demo.yaml', import.meta.url), 'utf8').replace(
  'game: demo',
  '',
);

let server: TestDatabase;
let stores: Pick<GameSeed, 'games' | 'definitions' | 'keys'>;
let folder: string;
let seed: GameSeed;
let games = 0;
beforeAll(async () => {
  server = await testDatabase();
  folder = mkdtempSync(join(tmpdir(), 'seed-'));
  writeFileSync(join(folder, 'demo.yaml'), source);
  stores = {
    games: createGameStore(server.db, sealer, systemRandom),
    definitions: createDefinitionStore(server.db),
    keys: createKeyStore({ database: server.db, sealer, random: systemRandom, clock: systemClock }),
  };
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await server.close();
});
beforeEach(() => {
  games += 1;
  seed = {
    ...stores,
    gameId: `game-${String(games)}`,
    keyId: `key-${String(games)}`,
    definitionFile: join(folder, 'demo.yaml'),
    secret: 'a-first-secret-of-32-characters!',
    mayReplaceSecret: false,
  };
});
const gameId = (): string => seed.gameId ?? '';
const keyId = (): string => seed.keyId ?? '';

test('a game begins with a definition, a key for everything and the oldest floor', async () => {
  const result = await ensureGame(seed);
  expect(result).toMatchObject({ isNewGame: true, appliedVersion: 1, key: 'created' });
  expect(await stores.games.list()).toContainEqual({ gameId: gameId(), dedupeFloor: '1970-01-01' });
  expect(await stores.keys.list(gameId())).toEqual([
    expect.objectContaining({
      scopes: ['ingest', 'read', 'replay', 'sessions'],
      trust: 'server',
      schemes: ['v1'],
    }),
  ]);
  expect(describeSeed(result)).toHaveLength(3);
});

test('a second time nothing changes and nothing is told', async () => {
  await ensureGame(seed);
  const result = await ensureGame(seed);
  expect(result).toMatchObject({ isNewGame: false, appliedVersion: null, key: 'kept' });
  expect(describeSeed(result)).toEqual([]);
});

test('several processes that begin at once make one game, one version and one key', async () => {
  const results = await Promise.all(Array.from({ length: 4 }, () => ensureGame(seed)));
  expect(results.filter(({ isNewGame }) => isNewGame)).toHaveLength(1);
  expect(results.filter(({ key }) => key === 'created')).toHaveLength(1);
  expect(await stores.definitions.list(gameId())).toHaveLength(1);
});

test('a stored key keeps its secret, and the difference is told', async () => {
  await ensureGame(seed);
  const result = await ensureGame({ ...seed, secret: 'a-second-secret-of-32-characters' });
  expect(result.key).toBe('different');
  expect(describeSeed(result).join()).toMatch(/another secret/);
  expect(await stores.keys.hasSecret(keyId(), 'a-first-secret-of-32-characters!')).toBe(true);
});

test('where a developer set the secret, the stored key gets it', async () => {
  await ensureGame(seed);
  const secret = 'a-second-secret-of-32-characters';
  const changed = { ...seed, secret, mayReplaceSecret: true };
  const result = await ensureGame(changed);
  expect(result.key).toBe('replaced');
  expect(await stores.keys.hasSecret(keyId(), secret)).toBe(true);
  expect((await ensureGame(changed)).key).toBe('kept');
});

test('a game may begin without a definition and without a key', async () => {
  const bare = { ...seed, definitionFile: null, secret: null };
  expect(await ensureGame(bare)).toMatchObject({ isNewGame: true, appliedVersion: null, key: 'not asked' });
  expect(await stores.definitions.list(gameId())).toEqual([]);
});

test('a master key that does not open what the games have is refused before it seals anything', async () => {
  await ensureGame(seed);
  const foreign = { id: 'm', key: Buffer.alloc(32, 2) };
  await expect(
    refuseForeignMasterKey(server.db, createSealer([foreign], systemRandom)),
  ).rejects.toMatchObject({ code: 'foreign_master_key' });
  await refuseForeignMasterKey(server.db, sealer);
  // One game that was made with another key stands in nobody's way.
  await createGameStore(server.db, createSealer([foreign], systemRandom), systemRandom).create({
    gameId: 'a-foreign-game',
    dedupeFloor: '2026-01-01',
  });
  await refuseForeignMasterKey(server.db, sealer);
});
