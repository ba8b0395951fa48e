import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { KEYS_LISTED_MAX } from '../../contract/keys-listed.js';
import { systemRandom } from '../../kernel/random.js';
import { createSealer } from '../../secrets/seal.js';
import { testDatabase } from '../../testkit/postgres.js';
import type { TestDatabase } from '../../testkit/postgres.js';
import { createKeyRing } from '../key-ring/postgres.js';
import { createSessionRevocationStore } from '../sessions/postgres.js';
import { createGameStore } from '../tenants/postgres.js';
import { createKeyStore } from './postgres.js';

const HOUR_MS = 3_600_000;
const sealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 1) }], systemRandom);
const otherSealer = createSealer([{ id: 'x', key: Buffer.alloc(32, 2) }], systemRandom);

const time = { nowMs: Date.now(), monotonicMs: 0 };
const clock = { now: () => time.nowMs, monotonicMs: () => time.monotonicMs };

let server: TestDatabase;
let gameId: string;
let games = 0;
beforeAll(async () => {
  server = await testDatabase();
});
afterAll(() => server.close());
beforeEach(async () => {
  gameId = `game-${String((games += 1))}`;
  expect(
    await createGameStore(server.db, sealer, systemRandom).create({ gameId, dedupeFloor: '2026-01-01' }),
  ).toBe(true);
});
const keyStore = (): ReturnType<typeof createKeyStore> =>
  createKeyStore({ database: server.db, sealer, random: systemRandom, clock });
const keyRing = (told: string[] = []): ReturnType<typeof createKeyRing> =>
  createKeyRing({
    database: server.db,
    sealer,
    clock,
    onOverfull: (games) => expect(games).toEqual([]),
    onUnreadable: (secrets) => told.push(...secrets),
  });

describe('games', () => {
  test('are created once; a second time changes nothing', async () => {
    const store = createGameStore(server.db, sealer, systemRandom);
    expect(await store.create({ gameId, dedupeFloor: '2027-01-01' })).toBe(false);
    expect(await store.list()).toContainEqual({ gameId, dedupeFloor: '2026-01-01' });
    await expect(store.create({ gameId: 'No Game', dedupeFloor: '2026-01-01' })).rejects.toMatchObject({
      code: 'invalid_game',
    });
  });

  test('have a session master of their own, sealed at rest', async () => {
    const ring = keyRing();
    await ring.refresh();
    const game = ring.game(gameId);
    expect(game).toMatchObject({
      dedupeFloor: '2026-01-01',
      acceptancePastMs: 30 * 24 * HOUR_MS,
      sessionMasterId: 'm1',
    });
    expect(game?.sessionMaster).toHaveLength(32);
    expect(ring.game('nobody')).toBeNull();
    const rows = await server.db.query<{ session_master: string }>(
      'SELECT session_master FROM games WHERE game_id = $1',
      [gameId],
    );
    expect(rows[0]?.session_master).toMatch(/^m\./);
  });
});

describe('signing keys', () => {
  test('are made, sealed at rest and never listed with their secret', async () => {
    const { keyId, secret } = await keyStore().create({ gameId, scopes: ['ingest', 'read'] });
    const ring = keyRing();
    await ring.refresh();
    expect(ring.key(keyId)).toMatchObject({
      gameId,
      secret,
      trust: 'server',
      debug: false,
      notAfterMs: null,
      revokedAtMs: null,
    });
    expect([...(ring.key(keyId)?.scopes ?? [])]).toEqual(['ingest', 'read']);
    expect([...(ring.key(keyId)?.schemes ?? [])]).toEqual(['v1']);
    expect(JSON.stringify(await keyStore().list(gameId))).not.toContain(secret);
    const rows = await server.db.query<{ secret: string }>(
      'SELECT secret FROM signing_keys WHERE key_id = $1',
      [keyId],
    );
    expect(rows[0]?.secret).not.toContain(secret);
  });

  test('may be given an id and a secret, once', async () => {
    const key = {
      gameId,
      keyId: `${gameId}-own`,
      secret: 'demo-secret-0123456789abcdef',
      scopes: ['ingest'],
    } as const;
    expect(await keyStore().create(key)).toEqual({ keyId: key.keyId, secret: key.secret });
    await expect(keyStore().create(key)).rejects.toMatchObject({ code: 'key_exists' });
  });

  test.each([
    [{ keyId: 'a b' }, 'a key id must match'],
    [{ secret: 'short' }, 'a secret must have 16 to 256 bytes'],
    [{ scopes: [] }, 'scopes must be some of'],
    [{ schemes: [] }, 'schemes must be some of'],
    [{ notBeforeMs: 2, notAfterMs: 1 }, 'a key must end after it begins'],
  ])('are refused when wrong: %j', async (wrong, message) => {
    await expect(keyStore().create({ gameId, scopes: ['read'], ...wrong })).rejects.toThrow(message);
  });

  test('of an unknown game are refused', async () => {
    await expect(keyStore().create({ gameId: 'nobody', scopes: ['read'] })).rejects.toMatchObject({
      code: 'game_unknown',
    });
  });

  test('row 72: are both valid during the overlap of a rotation', async () => {
    const store = keyStore();
    const old = await store.create({
      gameId,
      scopes: ['replay'],
      schemes: ['plain-timestamp'],
      trust: 'client',
    });
    const next = await store.rotate(old.keyId, HOUR_MS);
    expect(next.retiresAtMs).toBe(time.nowMs + HOUR_MS);
    const ring = keyRing();
    await ring.refresh();
    expect(ring.key(old.keyId)?.notAfterMs).toBe(time.nowMs + HOUR_MS);
    expect(ring.key(next.keyId)).toMatchObject({ trust: 'client', notAfterMs: null, secret: next.secret });
    expect([...(ring.key(next.keyId)?.schemes ?? [])]).toEqual(['plain-timestamp']);
    expect(next.secret).not.toBe(old.secret);
    // A rotation does not lengthen what was to end.
    await store.retire(next.keyId, time.nowMs + HOUR_MS);
    expect((await store.rotate(next.keyId, 9 * HOUR_MS)).retiresAtMs).toBe(time.nowMs + HOUR_MS);
  });

  test('have one successor, of however many rotations at once', async () => {
    const store = keyStore();
    const { keyId } = await store.create({ gameId, scopes: ['ingest'] });
    const rotations = await Promise.allSettled([1, 2, 3].map(() => store.rotate(keyId, HOUR_MS)));
    const made = rotations.flatMap((one) => (one.status === 'fulfilled' ? [one.value.keyId] : []));
    const refused = rotations.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
    expect(made).toHaveLength(1);
    expect(refused).toMatchObject([{ code: 'key_replaced' }, { code: 'key_replaced' }]);
    await expect(store.rotate(keyId, HOUR_MS)).rejects.toMatchObject({ code: 'key_replaced' });
    expect((await store.list(gameId)).map((key) => key.keyId).sort()).toEqual([keyId, ...made].sort());
    await store.rotate(made[0] ?? '', HOUR_MS);
  });

  test('have no id of those that mark what they send as a replay, whatever their game is called', async () => {
    const store = keyStore();
    const key = { gameId, scopes: ['ingest', 'replay'] } as const;
    for (const keyId of ['replay-', 'replay-0123456789abcdef'])
      await expect(store.create({ ...key, keyId })).rejects.toMatchObject({ code: 'key_reserved' });
    expect((await store.create({ ...key, isForReplay: true })).keyId).toMatch(/^replay-[0-9a-f]{16}$/);
    const games = createGameStore(server.db, sealer, systemRandom);
    for (const name of ['replay', 'replay-two']) {
      await games.create({ gameId: name, dedupeFloor: '2026-01-01' });
      expect((await store.create({ ...key, gameId: name })).keyId).toMatch(/^key-[0-9a-f]{16}$/);
    }
  });

  test('end at a date or at once, and cannot be rotated after', async () => {
    const store = keyStore();
    const { keyId } = await store.create({ gameId, scopes: ['read'] });
    const ring = keyRing();
    await store.retire(keyId, time.nowMs + HOUR_MS);
    await ring.refresh();
    expect(ring.key(keyId)?.notAfterMs).toBe(time.nowMs + HOUR_MS);
    await store.revoke(keyId);
    await ring.refresh();
    expect(ring.key(keyId)?.revokedAtMs).toBe(time.nowMs);
    await expect(store.rotate(keyId, 1)).rejects.toMatchObject({ code: 'key_not_valid' });
    const attempts = [
      () => store.revoke('no-key'),
      () => store.retire('no-key', 1),
      () => store.rotate('no-key', 1),
    ];
    for (const attempt of attempts) {
      await expect(attempt()).rejects.toMatchObject({ code: 'key_unknown' });
    }
  });
});

describe('retiring a key', () => {
  test('only ever shortens its life', async () => {
    const store = keyStore();
    const end = time.nowMs + 2 * HOUR_MS;
    const { keyId } = await store.create({ gameId, scopes: ['read'], notAfterMs: end });
    const storedEnd = async () => (await store.list(gameId))[0]?.notAfterMs;
    expect(await store.retire(keyId, end + HOUR_MS)).toEqual({ retiresAtMs: end });
    expect(await storedEnd()).toBe(end);
    expect(await store.retire(keyId, end - HOUR_MS)).toEqual({ retiresAtMs: end - HOUR_MS });
    expect(await store.retire(keyId, end)).toEqual({ retiresAtMs: end - HOUR_MS });
    expect(await storedEnd()).toBe(end - HOUR_MS);
  });

  test('brings back neither a retired nor a revoked one', async () => {
    const store = keyStore();
    const retired = await store.create({ gameId, scopes: ['read'] });
    const revoked = await store.create({ gameId, scopes: ['read'] });
    await store.retire(retired.keyId, time.nowMs);
    await store.revoke(revoked.keyId);
    for (const { keyId } of [retired, revoked]) {
      await expect(store.retire(keyId, time.nowMs + HOUR_MS)).rejects.toMatchObject({
        code: 'key_not_valid',
        message: expect.stringContaining('has ended already'),
      });
    }
    const ends = (await store.list(gameId)).map(({ notAfterMs }) => notAfterMs);
    expect(ends.toSorted()).toEqual([null, time.nowMs].toSorted());
  });
});

test('however many keys of replays have ended since, the list begins with those that have not', async () => {
  const store = keyStore();
  const old = await store.create({ gameId, keyId: 'of-the-clients', scopes: ['ingest'] });
  await server.db.query(
    `INSERT INTO signing_keys (key_id, game_id, secret, scopes, not_after, revoked_at, created_at)
     SELECT 'ended-' || n, $1, 'sealed', '{ingest}', CASE WHEN n % 2 = 0 THEN $2::timestamptz END,
            CASE WHEN n % 2 = 1 THEN $2::timestamptz END, $2::timestamptz + interval '1 hour'
       FROM generate_series(1, $3::int) AS n`,
    [gameId, new Date(time.nowMs - 1), KEYS_LISTED_MAX],
  );
  const listed = await store.list(gameId);
  expect(listed).toHaveLength(KEYS_LISTED_MAX);
  expect(listed[0]?.keyId).toBe(old.keyId);
  await server.db.query('DELETE FROM signing_keys WHERE game_id = $1', [gameId]);
});

describe('the key ring', () => {
  test('knows how old it is on the clock that never steps', async () => {
    const ring = keyRing();
    expect(ring.ageMs()).toBe(Infinity);
    time.monotonicMs = 1000;
    await ring.refresh();
    time.monotonicMs = 5000;
    expect(ring.ageMs()).toBe(4000);
  });

  test('leaves out what it cannot open, keeps everything else, and says so once; ended it is no more told of', async () => {
    const mine = await keyStore().create({ gameId, scopes: ['read'] });
    const theirs = createKeyStore({ database: server.db, sealer: otherSealer, random: systemRandom, clock });
    const lost = await theirs.create({ gameId, scopes: ['read'] });
    const revoked = await theirs.create({ gameId, scopes: ['read'] });
    const told: string[] = [];
    const ring = keyRing(told);
    await ring.refresh();
    await ring.refresh();
    expect(ring.ageMs()).toBe(0);
    expect(told.toSorted()).toEqual(
      [lost, revoked].map(({ keyId }) => `signing_keys ${gameId} ${keyId}`).toSorted(),
    );
    expect(ring.key(lost.keyId)).toBeNull();
    expect(ring.key(mine.keyId)?.secret).toBe(mine.secret);
    // Without the master key that sealed them: ending a key needs no secret.
    await keyStore().retire(lost.keyId, time.nowMs - 1_000);
    await keyStore().revoke(revoked.keyId);
    await server.db.query("UPDATE signing_keys SET revoked_at = now() - interval '1 s' WHERE key_id = $1", [
      revoked.keyId,
    ]);
    const later: string[] = [];
    await keyRing(later).refresh();
    expect(later).toEqual([]);
  });

  test('row 63: holds the revocations of sessions until no such session can live', async () => {
    const store = createSessionRevocationStore(server.db);
    const ring = keyRing();
    await store.revoke(gameId, { sid: 's1' }, time.nowMs);
    await store.revoke(gameId, { sid: 's1' }, time.nowMs + 1);
    await store.revoke(gameId, { playerId: 'p1' }, time.nowMs);
    await store.revoke(gameId, { keyId: 'k1' }, time.nowMs - 26 * HOUR_MS);
    await ring.refresh();
    expect(
      ring.revocations(gameId).map(({ sid, playerId, issuedBeforeMs }) => [sid, playerId, issuedBeforeMs]),
    ).toEqual([
      [null, 'p1', time.nowMs],
      ['s1', null, time.nowMs],
    ]);
    expect(ring.revocations('nobody')).toEqual([]);
    expect(await store.list(gameId)).toHaveLength(2);
    expect(await store.dropExpired(time.nowMs)).toBe(1);
    expect(await store.dropExpired(time.nowMs + 26 * HOUR_MS)).toBe(2);
  });

  test('row 63: a game with too many revoked sessions costs itself its sessions, and nobody anything else', async () => {
    const other = 'other-game';
    await createGameStore(server.db, sealer, systemRandom).create({
      gameId: other,
      dedupeFloor: '1970-01-01',
    });
    const store = createSessionRevocationStore(server.db);
    const told: string[][] = [];
    const ring = createKeyRing({
      database: server.db,
      sealer,
      clock,
      onOverfull: (games) => told.push([...games]),
      onUnreadable: () => undefined,
      revocationLimits: { perGame: 3, total: 5 },
    });
    for (const sid of ['a', 'b', 'c', 'd']) await store.revoke(other, { sid }, time.nowMs);
    await store.revoke(gameId, { sid: 'mine' }, time.nowMs);
    const added = await keyStore().create({ gameId, scopes: ['read'] });
    time.monotonicMs = 9000;
    await ring.refresh();
    await ring.refresh();
    expect(told).toEqual([[other]]);
    expect(ring.key(added.keyId)?.secret).toBe(added.secret);
    expect(ring.ageMs()).toBe(0);
    expect([ring.revocationsAreKnown(gameId), ring.revocationsAreKnown(other)]).toEqual([true, false]);
    expect(ring.revocations(gameId).map(({ sid }) => sid)).toEqual(['mine']);
    expect(ring.revocations(other)).toEqual([]);
    // Within its own limit, but not within that of all together: the game with the most goes first.
    await store.revoke(gameId, { sid: 'mine-2' }, time.nowMs);
    await server.db.query("DELETE FROM session_revocations WHERE sid = 'd'");
    await ring.refresh();
    expect(ring.revocationsAreKnown(other)).toBe(true);
    await store.revoke(gameId, { sid: 'mine-3' }, time.nowMs);
    await ring.refresh();
    expect(told).toEqual([[other], [other]]);
    expect(ring.revocationsAreKnown(gameId)).toBe(true);
    await server.db.query('DELETE FROM session_revocations');
  });

  test('keys and games are learned while revocations cannot be read', async () => {
    const ring = keyRing();
    await server.db.query('ALTER TABLE session_revocations RENAME TO hidden_revocations');
    const added = await keyStore().create({ gameId, scopes: ['read'] });
    await expect(ring.refresh()).rejects.toThrow();
    expect(ring.key(added.keyId)?.secret).toBe(added.secret);
    // Sessions are not: what ended since is not known.
    expect(ring.ageMs()).toBe(Infinity);
    await server.db.query('ALTER TABLE hidden_revocations RENAME TO session_revocations');
  });
});
