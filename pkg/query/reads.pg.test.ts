import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from 'jose';
import {
  READER,
  SERVER,
  startReadApp,
  STRANGER,
  type Answered,
  type ReadApp,
  type Signer,
} from '../testkit/read-app.js';
import { createCaller } from './fixtures.js';

let app: ReadApp;
const { call } = createCaller(
  () => app.ask,
  () => ({}),
);
beforeAll(async () => {
  app = await startReadApp();
});
afterAll(() => app.close());

const playersOf = (answer: Answered): string[] =>
  ((answer.body['entries'] ?? []) as { readonly playerId: string }[]).map(({ playerId }) => playerId);

const mint = async (body: object, as: Signer = SERVER): Promise<Signer & { readonly sid: string }> =>
  (await call('mintSession', { as, body: JSON.stringify(body) })).body as unknown as Signer & { sid: string };

describe('boards', () => {
  const BEST_FIRST = ['x+y', 'naïve 🙂', 'a,b', 'p-2', 'p-1'];

  test('a public board is for everybody and may be cached, apart from what the signed get', async () => {
    const answer = await call('getLeaderboard');
    expect(playersOf(answer)).toEqual(BEST_FIRST);
    expect(answer.body).toMatchObject({
      board: 'xp',
      window: 'daily',
      partition: null,
      total: 5,
      nextCursor: null,
    });
    expect(answer.headers).toMatchObject({
      'cache-control': 'public, max-age=2',
      'access-control-allow-origin': '*',
      vary: 'X-Key-Id, X-Signature',
    });
    expect(answer.headers['etag']).toMatch(/^"[A-Za-z0-9_-]{43}"$/);
  });

  test('a signed request sees the boards of its game, private ones too, and nobody may keep the answer', async () => {
    const session = await mint({ playerId: 'p-1', scopes: ['read'] });
    for (const as of [READER, session]) {
      const answer = await call('getLeaderboard', { as }, '/v1/leaderboards/best-gain');
      expect(playersOf(answer)).toEqual(BEST_FIRST);
      expect(answer.headers['cache-control']).toBe('private, no-store');
      expect(answer.headers['etag']).toBeUndefined();
    }
    const foreign = await call('getLeaderboard', { as: STRANGER });
    expect(playersOf(foreign)).toEqual(['p-other']);
  });

  test('row 69: unsigned, a private board is as absent as one that never was', async () => {
    const [hidden, absent] = [
      await call('getLeaderboard', {}, '/v1/leaderboards/best-gain'),
      await call('getLeaderboard', {}, '/v1/leaderboards/nothing'),
    ];
    expect(hidden.status).toBe(404);
    expect({ ...hidden.body, requestId: '' }).toEqual({ ...absent.body, requestId: '' });
  });

  test('the parameter game names the game of who does not sign, and cannot name another to who does', async () => {
    expect(playersOf(await call('getLeaderboard', {}, '/v1/leaderboards/xp?game=other'))).toEqual([
      'p-other',
    ]);
    expect(playersOf(await call('getLeaderboard', { as: SERVER }, '/v1/leaderboards/xp?game=demo'))).toEqual(
      BEST_FIRST,
    );
    expect((await call('getLeaderboard', { as: SERVER }, '/v1/leaderboards/xp?game=other')).status).toBe(404);
    expect((await call('getLeaderboard', {}, '/v1/leaderboards/xp?game=No%20Game')).status).toBe(400);
  });

  test('the short path answers as the long one', async () => {
    const [long, short] = [
      await call('getLeaderboard', {}, '/v1/leaderboards/xp?window=all-time&limit=2'),
      await call('getLeaderboardShort', {}, '/leaderboard?board=xp&window=all-time&limit=2'),
    ];
    expect(short.body).toEqual(long.body);
    expect((await call('getLeaderboardShort', {}, '/leaderboard')).body['pointer']).toBe('/board');
  });

  test('pages follow one another by the cursor', async () => {
    const ids: string[] = [];
    let cursor: unknown = '';
    for (let pages = 0; cursor !== null && pages < 9; pages += 1) {
      const after = cursor === '' ? '' : `&cursor=${String(cursor)}`;
      const page = await call('getLeaderboard', {}, `/v1/leaderboards/xp?limit=2${after}`);
      ids.push(...playersOf(page));
      cursor = page.body['nextCursor'];
    }
    expect(ids).toEqual(BEST_FIRST);
  });

  test('a comma inside an id is escaped; the commas that separate are not; the parameter can be repeated', async () => {
    const players = (query: string): Promise<string[]> =>
      call('getLeaderboard', {}, `/v1/leaderboards/xp?${query}`).then(playersOf);
    expect(await players('players=p-1,a%2Cb,nobody')).toEqual(['a,b', 'p-1']);
    expect(await players('players=p-1&players=p-2')).toEqual(['p-2', 'p-1']);
    expect(await players(`players=${encodeURIComponent('naïve 🙂')},x%2By`)).toEqual(['x+y', 'naïve 🙂']);
    expect(await players('players=na%C3%AFve+%F0%9F%99%82')).toEqual(['naïve 🙂']);
    expect(await players('around=x%2By&limit=1')).toEqual(['x+y']);
  });

  test.each([
    'limit=0',
    'limit=1001',
    'limit=01',
    'limit=1e2',
    'limit=',
    'limit=5&limit=5',
    'window=hourly',
    'revised=yes',
    'cursor=x',
    'cursor=W10',
    'around=',
    `around=${'x'.repeat(129)}`,
    `around=${'%C3%A9'.repeat(65)}`,
    'players=',
    'players=a,,b',
    `players=${'a,'.repeat(100)}a`,
    'players=a&limit=5',
    'players=a&around=b',
    'around=a&cursor=b',
    'players[]=a',
    '__proto__=a',
  ])('refuses ?%s', async (query) => {
    expect(await call('getLeaderboard', {}, `/v1/leaderboards/xp?${query}`)).toMatchObject({
      status: 400,
      body: { code: 'invalid_parameter', retryable: false },
    });
  });

  test('one hundred players are as many as one may ask for', async () => {
    const ids = Array.from({ length: 100 }, (_, n) => `p-${String(n)}`).join(',');
    expect(playersOf(await call('getLeaderboard', {}, `/v1/leaderboards/xp?players=${ids}`))).toEqual([
      'p-2',
      'p-1',
    ]);
  });

  test('a cycle or a window that the board does not have is 404', async () => {
    for (const query of ['cycle=1999-01-01', 'cycle=..%2F..', 'window=seasonal&cycle=none'])
      expect([query, (await call('getLeaderboard', {}, `/v1/leaderboards/xp?${query}`)).status]).toEqual([
        query,
        404,
      ]);
  });
});

describe('a player', () => {
  test.each(['p-1', 'a,b', 'naïve 🙂', 'x+y'])(
    '%s is found by the escaped id, and by the session of it',
    async (id) => {
      const path = `/v1/players/${encodeURIComponent(id)}`;
      for (const as of [READER, await mint({ playerId: id })]) {
        expect((await call('getProgress', { as }, `${path}/progress`)).body).toMatchObject({ playerId: id });
        expect(playersOf(await call('getRank', { as }, `${path}/rank?board=best-gain`))).toEqual([id]);
        const receipts = await call('listReceipts', { as }, `${path}/receipts?limit=1000`);
        expect(receipts.body['items']).not.toEqual([]);
        expect(receipts.headers['cache-control']).toBe('private, no-store');
      }
    },
  );

  test('row 69: another game sees nothing of a player, nor a session anything of another one', async () => {
    const session = await mint({ playerId: 'p-1' });
    const { body } = await call('listReceipts', { as: SERVER }, '/v1/players/p-2/receipts');
    const [receipt] = body['items'] as { readonly receiptId: string }[];
    const target = `/v1/receipts/${receipt?.receiptId ?? ''}`;
    expect((await call('getReceipt', { as: SERVER }, target)).status).toBe(200);
    for (const as of [session, STRANGER]) expect((await call('getReceipt', { as }, target)).status).toBe(404);
    expect((await call('getProgress', { as: session }, '/v1/players/p-2/progress')).status).toBe(404);
    expect((await call('getProgress', { as: STRANGER }, '/v1/players/p-2/progress')).status).toBe(404);
    expect((await call('listReceipts', { as: STRANGER }, '/v1/players/p-2/receipts')).body['items']).toEqual(
      [],
    );
  });

  test('receipts come in pages; a cursor of another list is refused', async () => {
    const first = await call('listReceipts', {}, '/v1/players/p-1/receipts?limit=1');
    const cursor = String(first.body['nextCursor']);
    const second = await call('listReceipts', {}, `/v1/players/p-1/receipts?limit=1&cursor=${cursor}`);
    expect(second.body['items']).not.toEqual(first.body['items']);
    const wrong = await call('listRevokedReceipts', {}, `/v1/receipts/revoked?cursor=${cursor}`);
    expect(wrong).toMatchObject({ status: 400, body: { code: 'invalid_parameter', pointer: '/cursor' } });
  });
});

describe('receipts', () => {
  test('verify by our keys, online and with any JOSE library, also after a rotation and until revoked', async () => {
    await app.rotateReceiptKey();
    const { body } = await call('listReceipts', {}, '/v1/players/p-1/receipts?limit=1');
    const [{ jws, receiptId }] = body['items'] as [{ jws: string; receiptId: string }];
    const verify = (text: string): Promise<Answered> =>
      call('verifyReceipt', { body: JSON.stringify({ jws: text }) });
    expect((await verify(jws)).body).toMatchObject({
      valid: true,
      revoked: false,
      claims: { jti: receiptId },
    });
    expect((await verify(`${jws.slice(0, -4)}AAAA`)).body).toEqual({ valid: false, code: 'bad_signature' });
    expect((await verify('x')).body).toEqual({ valid: false, code: 'malformed' });
    expect((await verify('x'.repeat(8193))).status).toBe(400);

    const jwks = (await call('getJwks')).body as unknown as JSONWebKeySet;
    expect(jwks.keys).toHaveLength(2);
    expect(JSON.stringify(jwks)).not.toContain('"d"');
    await expect(compactVerify(jws, createLocalJWKSet(jwks))).resolves.toBeDefined();
    expect((await call('getJwks', {}, '/.well-known/jwks.json?game=bare')).body).toEqual({ keys: [] });

    await app.db.query('UPDATE receipts SET revoked_at = now() WHERE receipt_id = $1', [receiptId]);
    expect((await verify(jws)).body).toMatchObject({ valid: false, revoked: true, code: 'revoked' });
    const revoked = (await call('listRevokedReceipts')).body['items'] as { receiptId: string }[];
    expect(revoked.map((item) => item.receiptId)).toEqual([receiptId]);
  });
});

describe('sessions', () => {
  const statusOf = async (as: Signer): Promise<number> => (await call('getProgress', { as })).status;

  test('live as long as asked, one hour unless asked', async () => {
    const nowMs = app.clock.now();
    const answer = await call('mintSession');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.body).toMatchObject({
      playerId: 'p-1',
      scopes: ['ingest', 'read'],
      issuedAt: new Date(nowMs).toISOString(),
      expiresAt: new Date(nowMs + 3_600_000).toISOString(),
    });
    const short = await mint({ playerId: 'p-1', ttlSeconds: 60 });
    expect(await statusOf(short)).toBe(200);
    app.clock.advance(60_000);
    await app.keyRing.refresh();
    expect(await statusOf(short)).toBe(401);
    app.clock.set(nowMs);
    await app.keyRing.refresh();
  });

  test('never mint or revoke, and read only with the scope', async () => {
    const session = await mint({ playerId: 'p-1' });
    for (const name of ['mintSession', 'revokeSessions', 'revokeSession'])
      expect(await call(name, { as: session })).toMatchObject({
        status: 403,
        body: { code: 'scope_missing' },
      });
    expect(await statusOf(await mint({ playerId: 'p-1', scopes: ['ingest'] }))).toBe(403);
  });

  test.each([
    [{}, 'invalid_player_id'],
    [{ playerId: '' }, 'invalid_player_id'],
    [{ playerId: 'é'.repeat(65) }, 'invalid_player_id'],
    [{ playerId: 'a\u0000' }, 'invalid_character'],
    [{ playerId: '\ud800' }, 'invalid_character'],
    [{ playerId: 7 }, 'invalid_player_id'],
    [{ playerId: 'p', scopes: [] }, 'invalid_field'],
    [{ playerId: 'p', scopes: ['read', 'read'] }, 'invalid_field'],
    [{ playerId: 'p', scopes: ['sessions'] }, 'invalid_field'],
    [{ playerId: 'p', scopes: 'read' }, 'invalid_field'],
    [{ playerId: 'p', ttlSeconds: 59 }, 'invalid_field'],
    [{ playerId: 'p', ttlSeconds: 86_401 }, 'invalid_field'],
    [{ playerId: 'p', ttlSeconds: 60.5 }, 'invalid_field'],
    [{ playerId: 'p', ttlSeconds: '60' }, 'invalid_field'],
  ])('are not minted from %j', async (body, code) => {
    const answer = await call('mintSession', { body: JSON.stringify(body) });
    expect([answer.status, answer.body['code']]).toEqual([400, code]);
  });

  test('row 63: end by id, by player and by key, in their game alone', async () => {
    const [one, two, other] = [
      await mint({ playerId: 'p-1' }),
      await mint({ playerId: 'p-1' }),
      await mint({ playerId: 'p-2' }),
    ];
    const foreign = await mint({ playerId: 'p-other' }, STRANGER);
    const live = async (): Promise<number[]> => {
      await app.keyRing.refresh();
      const answers = [
        await call('getProgress', { as: one }),
        await call('getProgress', { as: two }),
        await call('getProgress', { as: other }, '/v1/players/p-2/progress'),
        await call('getProgress', { as: foreign }, '/v1/players/p-other/progress'),
      ];
      return answers.map(({ status }) => status);
    };
    await call('revokeSession', { as: STRANGER }, `/v1/sessions/${one.sid}`);
    expect(await live()).toEqual([200, 200, 200, 200]);
    await call('revokeSession', {}, `/v1/sessions/${one.sid}`);
    expect(await live()).toEqual([401, 200, 200, 200]);
    await call('revokeSessions', {}, '/v1/sessions?playerId=p-1');
    expect(await live()).toEqual([401, 401, 200, 200]);
    expect((await call('revokeSessions', {}, `/v1/sessions?keyId=${STRANGER.keyId}`)).status).toBe(404);
    expect(await live()).toEqual([401, 401, 200, 200]);
    await call('revokeSessions', {}, `/v1/sessions?keyId=${SERVER.keyId}`);
    expect(await live()).toEqual([401, 401, 401, 200]);
  });

  test.each(['', '?playerId=a&keyId=demo', '?keyId=a%20b', '?playerId=', '?playerId=a&playerId=b'])(
    'revoking with "%s" is refused',
    async (query) => {
      expect((await call('revokeSessions', {}, `/v1/sessions${query}`)).status).toBe(400);
    },
  );
});

describe('configuration', () => {
  test('is of the game that is named or that signs, with any scope', async () => {
    expect((await call('getConfig')).body).toMatchObject({
      gameId: 'demo',
      serverTime: Math.floor(app.clock.now() / 1000),
      acceptance: { pastSeconds: 2_592_000, aheadSeconds: 300, signatureSkewSeconds: 300 },
    });
    expect((await call('getConfig', {}, '/v1/config?game=other')).body['gameId']).toBe('other');
    expect((await call('getConfig', { as: STRANGER })).body['gameId']).toBe('other');
    app.clock.advance(1_000); // beyond the revocations above
    const session = await mint({ playerId: 'p-1', scopes: ['ingest'] });
    expect((await call('getConfig', { as: session })).body['gameId']).toBe('demo');
  });
});
