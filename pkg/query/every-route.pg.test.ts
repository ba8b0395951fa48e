import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createDatabase } from '../postgres/database.js';
import type { Database } from '../postgres/port.js';
import { operation, OPERATIONS } from '../testkit/api-document.js';
import { eventually } from '../testkit/eventually.js';
import { whileLocked } from '../testkit/postgres-locks.js';
import { READER, SENDER, SERVER, startReadApp, type Answered, type ReadApp } from '../testkit/read-app.js';
import { hastyClock } from '../testkit/settable-clock.js';
import {
  createCaller,
  FREE,
  INGEST,
  NAMES,
  SIGNED,
  STRICT,
  targetsOf,
  textLike,
  withParameter,
} from './fixtures.js';

let app: ReadApp;
let targets: Readonly<Record<string, string>>;
let unreachable: Database;
const { call, callOf, seen } = createCaller(
  () => app.ask,
  () => targets,
);
beforeAll(async () => {
  app = await startReadApp();
  app.health.started();
  targets = await targetsOf(app.ask);
  unreachable = createDatabase({ url: 'postgres://nobody@127.0.0.1:1/nothing' });
});
afterAll(async () => {
  await unreachable.close();
  await app.close();
});

test('what is served is what the document has, but for the parts of the page /docs', async () => {
  const { places } = await app.another({});
  const served = places
    .filter(({ path }) => !path.startsWith('/docs/'))
    .flatMap((place) =>
      (['GET', 'POST', 'DELETE'] as const)
        .filter((method) => place[method] !== undefined)
        .map((method) => `${method} ${place.path.replaceAll(/:(\w+)/g, '{$1}')}`),
    );
  expect(served.sort()).toEqual(OPERATIONS.map(({ method, path }) => `${method} ${path}`).sort());
});

test('every operation of the document has its call here, or is of the door for events', () => {
  const documented = OPERATIONS.map(({ operationId }) => operationId);
  expect([...NAMES, ...INGEST].sort()).toEqual([...documented].sort());
});

test.each(NAMES)('%s answers as the document says', async (name) => {
  const answer = await call(name);
  expect(answer.status).toBe(callOf(name).status);
  expect(answer.headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'content-security-policy': textLike(/^default-src 'none';/),
    'x-request-id': textLike(/^[A-Za-z0-9_-]{16}$/),
  });
  expect(answer.headers['x-powered-by']).toBeUndefined();
});

test.each(NAMES.filter((name) => operation(name).method === 'GET'))(
  '%s answers HEAD with the same headers and no body',
  async (name) => {
    const { target } = callOf(name);
    const as = callOf(name).needs === undefined ? undefined : SERVER;
    const [got, head] = [await app.ask('GET', target, { as }), await app.ask('HEAD', target, { as })];
    expect(head.status).toBe(got.status);
    expect(head.text).toBe('');
    for (const name of ['content-type', 'content-length', 'etag', 'cache-control'])
      expect([name, head.headers[name]]).toEqual([name, got.headers[name]]);
  },
);

test.each(SIGNED)('%s refuses who does not sign, signs by half, or lacks the scope', async (name) => {
  expect(await call(name, { as: undefined })).toMatchObject({
    status: 401,
    body: { code: 'missing_signature' },
    headers: { 'www-authenticate': 'HMAC-SHA256 version="v1"' },
  });
  const half = await call(name, { as: undefined, headers: { 'X-Key-Id': 'demo' } });
  expect(half).toMatchObject({ status: 401, body: { code: 'missing_signature' } });
  const lacking = callOf(name).needs === 'read' ? SENDER : READER;
  expect(await call(name, { as: lacking })).toMatchObject({ status: 403, body: { code: 'scope_missing' } });
});

test.each(STRICT)('%s refuses parameters that it does not know, and shows nothing of them', async (name) => {
  const { target } = callOf(name);
  const answer = await call(name, {}, withParameter(target, 'limmit=marker-7f3a'));
  expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_parameter' } });
  expect(answer.text).not.toContain('marker-7f3a');
  expect(answer.text).not.toContain('limmit');
});

test('an escape that is no UTF-8 is refused in paths and in queries, and so is U+0000', async () => {
  for (const escape of ['%zz', '%', '%ff', '%c0%80', '%ed%a0%80', '%00', 'a%00b', '%EF%BF%BF'])
    for (const [name, target] of [
      ['getProgress', `/v1/players/${escape}/progress`],
      ['listReceipts', `/v1/players/${escape}/receipts`],
      ['getRank', `/v1/players/${escape}/rank?board=xp`],
      ['getRank', `/v1/players/p-1/rank?board=${escape}`],
      ['getLeaderboard', `/v1/leaderboards/xp?around=${escape}`],
      ['getLeaderboard', `/v1/leaderboards/xp?players=p-1,${escape}`],
      ['getLeaderboard', `/v1/leaderboards/xp?partition=${escape}`],
      ['getLeaderboardShort', `/leaderboard?board=${escape}`],
      ['revokeSessions', `/v1/sessions?playerId=${escape}`],
      ['listRevokedReceipts', `/v1/receipts/revoked?cursor=${escape}`],
      ['getJwks', `/.well-known/jwks.json?game=${escape}`],
      ['getConfig', `/v1/config?game=${escape}`],
    ] as const)
      expect([target, (await call(name, {}, target)).status]).toEqual([target, 400]);
  expect((await call('revokeSession', {}, '/v1/sessions/%zz')).status).toBe(400);
  expect((await call('getReceipt', {}, '/v1/receipts/%zz')).status).toBe(400);
  expect((await call('getLeaderboard', {}, '/v1/leaderboards/%zz')).status).toBe(400);
});

test('what is not there is 404', async () => {
  expect((await call('getProgress', {}, '/v1/players/nobody/progress')).status).toBe(404);
  expect((await call('getReceipt', {}, '/v1/receipts/AAECAwQFBgcICQoLDA0ODw')).status).toBe(404);
  expect((await call('getReceipt', {}, '/v1/receipts/x%00')).status).toBe(404);
  expect((await call('getRank', {}, '/v1/players/p-1/rank?board=no')).status).toBe(404);
  expect((await call('getLeaderboard', {}, '/v1/leaderboards/no')).status).toBe(404);
  expect((await call('getLeaderboardShort', {}, '/leaderboard?board=no')).status).toBe(404);
  expect((await call('revokeSessions', {}, '/v1/sessions?keyId=no')).status).toBe(404);
  expect((await call('listReceipts', {}, '/v1/players/nobody/receipts')).body['items']).toEqual([]);
  const session = (await call('mintSession')).body as { keyId: string; secret: string };
  for (const [name, path] of [
    ['getProgress', 'progress'],
    ['listReceipts', 'receipts'],
    ['getRank', 'rank?board=xp'],
  ] as const)
    expect((await call(name, { as: session }, `/v1/players/p-2/${path}`)).body['code']).toBe('not_found');
  for (const name of ['getConfig', 'getLeaderboard', 'listRevokedReceipts', 'getJwks'])
    expect((await call(name, {}, `${callOf(name).target}?game=no`)).status).toBe(404);
  for (const target of [
    '/',
    '/v1',
    '/v1/config/',
    '/V1/config',
    '/v1/players//progress',
    '/docs/assets/',
    '/docs/package.json',
  ])
    expect([target, (await app.ask('GET', target)).body['code']]).toEqual([target, 'not_found']);
});

describe('methods', () => {
  const places = [...new Set(OPERATIONS.map(({ path }) => path))];
  const targetOf = (path: string): string => path.replaceAll(/\{\w+\}/g, 'x');
  const methodsOf = (path: string): string[] =>
    OPERATIONS.filter((one) => one.path === path).flatMap(({ method }) =>
      method === 'GET' ? ['GET', 'HEAD'] : [method],
    );

  test.each(places)(
    '%s answers others with 405 and OPTIONS with 204, both with what it takes',
    async (path) => {
      const allow = [...methodsOf(path), 'OPTIONS'].sort();
      const listed = (answer: Answered): string[] => (answer.headers['allow'] ?? '').split(', ').sort();
      for (const method of ['GET', 'POST', 'DELETE', 'PUT', 'PATCH'].filter((one) => !allow.includes(one))) {
        const answer = await app.ask(method, targetOf(path), { as: SERVER });
        expect([method, answer.status, answer.body['code']]).toEqual([method, 405, 'method_not_allowed']);
        expect(listed(answer)).toEqual(allow);
      }
      const options = await app.ask('OPTIONS', targetOf(path));
      expect(options.status).toBe(204);
      expect(listed(options)).toEqual(allow);
    },
  );
});

test.each(NAMES)(
  'row 59: %s pays from the budget of its address, before anything is read or verified',
  async (name) => {
    const { ask } = await app.another({ addressRate: { rate: 0.5, burst: 1 } });
    const first = await call(name, {}, undefined, ask);
    expect(first.status).toBe(callOf(name).status);
    const second = await call(name, { as: { keyId: 'nobody', secret: 'x' } }, undefined, ask);
    if (FREE.includes(name)) return expect(second.status).toBe(200);
    expect(second).toMatchObject({
      status: 429,
      body: { code: 'rate_limited', retryable: true },
      headers: {
        'retry-after': '2',
        ratelimit: '"address";r=0;t=2',
        'ratelimit-policy': '"address";q=1;w=2',
      },
    });
  },
);

test('row 41: while the database is away, reads say 503 and when to come back', async () => {
  const { ask } = await app.another({ db: unreachable });
  const away = NAMES.filter(
    (name) => !['mintSession', 'getConfig', 'getApiDocument', 'getDocs', ...FREE].includes(name),
  );
  const jws = Buffer.from('{"alg":"EdDSA","typ":"fairtally-receipt+jwt","kid":"k"}').toString('base64url');
  const body = JSON.stringify({ jws: `${jws}.e30.${'A'.repeat(86)}` });
  for (const name of away) {
    const answer = await call(name, name === 'verifyReceipt' ? { body } : {}, undefined, ask);
    expect([name, answer.body['code'], answer.body['retryable']]).toEqual([
      name,
      'dependency_unavailable',
      true,
    ]);
  }
});

test('row 44: while the database hangs, reads say 503 and when to come back before it gives anything up', async () => {
  const { ask } = await app.another({ clock: hastyClock(app.clock) });
  const reads = [
    ...['getLeaderboard', 'getLeaderboardShort', 'getProgress', 'getRank'],
    ...['listReceipts', 'getReceipt', 'listRevokedReceipts'],
  ];
  await whileLocked(app.db, async (waiting) => {
    const answers = await Promise.all(reads.map((name) => call(name, {}, undefined, ask)));
    expect(answers.map(({ status, body }) => [status, body['code']])).toEqual(
      reads.map(() => [503, 'dependency_unavailable']),
    );
    await eventually('what they asked still waits', async () => (await waiting()) > 0);
  });
  await eventually(
    'they read on',
    async () => (await call('getProgress', {}, undefined, ask)).status === 200,
  );
});

test('a game without a definition in force has no boards yet', async () => {
  for (const name of ['getConfig', 'getLeaderboard'])
    expect(await call(name, {}, `${callOf(name).target}?game=bare`)).toMatchObject({
      status: 503,
      body: { code: 'definition_unavailable' },
    });
});

test('a gateway that does not know the revocations of the last minute refuses sessions, and only those', async () => {
  const minted = (await call('mintSession')).body as { keyId: string; secret: string };
  app.clock.advance(61_000);
  const answer = await call('getProgress', { as: minted });
  expect(answer).toMatchObject({ status: 503, body: { code: 'sessions_unavailable' } });
  expect(await call('mintSession', { as: minted })).toMatchObject({ status: 503 });
  expect((await call('getProgress')).status).toBe(200);
  await app.keyRing.refresh();
  expect((await call('getProgress', { as: minted })).status).toBe(200);
});

describe('bodies', () => {
  test.each(['mintSession', 'verifyReceipt'])('of %s are JSON objects of known keys', async (name) => {
    for (const [body, code] of [
      ['{', 'malformed_json'],
      ['[]', 'invalid_field'],
      ['null', 'invalid_field'],
      ['{"marker":1}', 'unknown_field'],
      ['{"__proto__":{}}', 'forbidden_key'],
      ['{"playerId":"a","playerId":"marker"}', 'duplicate_key'],
    ] as const) {
      const answer = await call(name, { body });
      expect([body, answer.status, answer.body['code']]).toEqual([body, 400, code]);
      expect(answer.text).not.toContain('marker');
    }
    expect(
      (await call(name, { body: undefined, headers: { 'Content-Type': 'application/json' } })).body['code'],
    ).toBe('empty_body');
  });

  test.each(['mintSession', 'verifyReceipt'])(
    'row 3: of %s have their content type and no encoding',
    async (name) => {
      for (const type of ['text/json', 'text/plain', 'application/json; charset=latin1', 'application/jsonx'])
        expect((await call(name, { headers: { 'Content-Type': type } })).body['code']).toBe(
          'unsupported_media_type',
        );
      for (const coding of ['gzip', 'br', 'gzip, gzip'])
        expect((await call(name, { headers: { 'Content-Encoding': coding } })).body['code']).toBe(
          'unsupported_encoding',
        );
      const spelled = await call(name, { headers: { 'Content-Type': 'Application/JSON;charset="UTF-8"' } });
      expect(spelled.status).toBe(callOf(name).status);
    },
  );

  test.each(['mintSession', 'verifyReceipt'])(
    'row 17: of %s that are too large are not read',
    async (name) => {
      const answer = await call(name, { body: 'x'.repeat(10 * 1024 * 1024) });
      expect(answer).toMatchObject({
        status: 413,
        body: { code: 'body_too_large', limits: { bodyBytes: 16_384 } },
        headers: { connection: 'close' },
      });
    },
  );
});

test('readiness fails with its checks and while draining', async () => {
  const bare = await startReadApp();
  bare.health.addCheck('postgres', () => Promise.reject(new Error('no')));
  bare.health.started();
  const failing = await call('getReadiness', {}, undefined, bare.ask);
  expect(failing.body).toEqual({ status: 'failing', checks: { postgres: { ok: false, detail: 'failed' } } });
  bare.health.drain();
  expect((await call('getReadiness', {}, undefined, bare.ask)).body['status']).toBe('draining');
  expect((await call('getHealth', {}, undefined, bare.ask)).status).toBe(200);
  await bare.close();
});

test('a board that did not change is not sent again', async () => {
  for (const name of ['getLeaderboard', 'getLeaderboardShort', 'getJwks', 'listRevokedReceipts']) {
    const { headers } = await call(name);
    const again = await app.ask('GET', callOf(name).target, {
      headers: { 'If-None-Match': headers['etag'] ?? '' },
    });
    expect([name, again.status, again.text, again.headers['etag']]).toEqual([name, 304, '', headers['etag']]);
    if (name.startsWith('getLeaderboard')) seen.add(`${name} 304`);
  }
});

test('every status that the document gives to a read was answered above', async () => {
  expect((await call('getJwks', { as: { keyId: 'nobody', secret: 'x' } })).status).toBe(401);
  expect((await call('getConfig', { as: { keyId: 'nobody', secret: 'x' } })).status).toBe(401);
  expect((await call('listRevokedReceipts', { as: { keyId: 'nobody', secret: 'x' } })).status).toBe(401);
  for (const name of ['getLeaderboard', 'getLeaderboardShort']) {
    expect((await call(name, { as: { keyId: 'nobody', secret: 'x' } })).status).toBe(401);
    expect((await call(name, { as: SENDER })).status).toBe(403);
  }
  const unseen = NAMES.flatMap((name) =>
    operation(name).statuses.map((status) => `${name} ${String(status)}`),
  ).filter((pair) => !seen.has(pair) && pair !== 'getHealth 500');
  expect(unseen).toEqual([]);
});
