import { readFileSync } from 'node:fs';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Game, KeyRing, SigningKey } from '../games/port.js';
import { createAuthenticate } from '../ingest/authenticate.js';
import { Credentials } from '../ingest/credentials.js';
import { operation } from '../testkit/api-document.js';
import { quietMetrics } from '../testkit/quiet.js';
import { SERVER, startReadApp, STRANGER, type ReadApp } from '../testkit/read-app.js';
import type { Authenticated } from './port.js';
import { createCaller, SIGNED, targetsOf, textLike } from './fixtures.js';

let app: ReadApp;
let targets: Readonly<Record<string, string>>;
const { call, callOf } = createCaller(
  () => app.ask,
  () => targets,
);
beforeAll(async () => {
  app = await startReadApp();
  targets = await targetsOf(app.ask);
});
afterAll(() => app.close());

test.each(SIGNED)('row 8: %s refuses a body that is not the one signed', async (name) => {
  const { body = '' } = callOf(name);
  expect(await call(name, { signed: { body: `${body} ` } })).toMatchObject({
    status: 401,
    body: { code: 'invalid_signature', detail: textLike(/raw bytes/) },
  });
});

const WRONG_SIGNATURES = [
  'v1=' + '0'.repeat(64),
  'v1=' + 'F'.repeat(64),
  'v1=' + '0'.repeat(63),
  'v1=',
  'v2=' + '0'.repeat(64),
  '0'.repeat(64),
  'v1=' + 'é'.repeat(4),
  Array.from({ length: 100 }, () => 'v1=' + '0'.repeat(64)).join(','),
];

test.each(WRONG_SIGNATURES)(
  'rows 5 and 6: signature %# is refused as that of an unknown key is',
  async (wrong) => {
    const headers = { 'X-Signature': Buffer.from(wrong).toString('latin1') };
    const answers = [
      await call('getProgress', { headers }),
      await call('getProgress', { as: { keyId: 'nobody', secret: 'x' }, headers }),
      await call('getProgress', { as: { keyId: 'nobody', secret: 'x' } }),
    ];
    for (const { status, body } of answers) {
      expect(status).toBe(401);
      expect({ ...body, requestId: '' }).toEqual({ ...answers[2]?.body, requestId: '' });
    }
  },
);

describe('row 7: a signature holds for one method, one target and one game', () => {
  test.each(SIGNED)('no other operation is opened by that of %s', async (name) => {
    const from = callOf(name);
    for (const other of SIGNED.filter((candidate) => candidate !== name)) {
      const signed = { method: operation(name).method, target: from.target };
      expect(await call(other, { signed })).toMatchObject({
        status: 401,
        body: { code: 'invalid_signature' },
      });
    }
    for (const signed of [{ method: 'PUT' }, { target: `${from.target}?` }, { target: `${from.target}/` }])
      expect((await call(name, { signed })).status).toBe(401);
  });

  test.each(SIGNED)('%s is refused when the key id is of another game than the secret', async (name) => {
    const crossed = { keyId: STRANGER.keyId, secret: SERVER.secret };
    expect((await call(name, { as: crossed })).body['code']).toBe('invalid_signature');
  });
});

test('row 15: a clock one hour off is told the time and corrected by it', async () => {
  const hour = 3_600_000;
  const nowMs = app.clock.now();
  for (const offMs of [-hour, hour]) {
    app.clock.set(nowMs + offMs);
    const early = { 'X-Timestamp': String(Math.floor(nowMs / 1000)) };
    const refused = await call('getProgress', { headers: early });
    expect(refused).toMatchObject({ status: 401, body: { code: 'timestamp_out_of_tolerance' } });
    const serverTime = refused.body['serverTime'] as number;
    expect(serverTime).toBe(Math.floor((nowMs + offMs) / 1000));
    expect((await call('getProgress')).status).toBe(200); // signed by that time
  }
  app.clock.set(nowMs);
});

test('row 72: after a rotation both keys hold until the date, then the new one alone', async () => {
  const HOUR_MS = 3_600_000;
  const startMs = app.clock.now();
  const old = await app.keys.create({ gameId: 'demo', scopes: ['read'], notBeforeMs: 0 });
  const next = await app.keys.rotate(old.keyId, HOUR_MS);
  expect(next.retiresAtMs).toBe(startMs + HOUR_MS);
  const statuses = async (): Promise<number[]> => {
    await app.keyRing.refresh();
    const answers = [await call('getProgress', { as: old }), await call('getProgress', { as: next })];
    return answers.map(({ status }) => status);
  };
  expect(await statuses()).toEqual([200, 200]);
  app.clock.set(startMs + HOUR_MS - 1);
  expect(await statuses()).toEqual([200, 200]);
  app.clock.set(startMs + HOUR_MS);
  expect(await statuses()).toEqual([401, 200]);
  expect((await call('getProgress', { as: old })).body['code']).toBe('invalid_signature');
  app.clock.set(startMs);
});

test('a revoked key, one that is retired and one not yet valid are refused like an unknown one', async () => {
  const nowMs = app.clock.now();
  const revoked = await app.keys.create({ gameId: 'demo', scopes: ['read'], notBeforeMs: 0 });
  await app.keys.revoke(revoked.keyId);
  const retired = await app.keys.create({
    gameId: 'demo',
    scopes: ['read'],
    notBeforeMs: 0,
    notAfterMs: nowMs,
  });
  const early = await app.keys.create({ gameId: 'demo', scopes: ['read'], notBeforeMs: nowMs + 1 });
  await app.keyRing.refresh();
  const unknown = await call('getProgress', { as: { keyId: 'nobody', secret: 'x' } });
  for (const as of [revoked, retired, early])
    expect({ ...(await call('getProgress', { as })).body, requestId: '' }).toEqual({
      ...unknown.body,
      requestId: '',
    });
});

test('the target is what the client sent, with the prefix that a proxy stripped', async () => {
  const { ask } = await app.another({ signedPathPrefix: '/api' });
  expect((await call('getProgress', {}, undefined, ask)).status).toBe(200);
  const bare = { 'X-Signature': 'v1=' + '0'.repeat(64) };
  expect((await call('getProgress', { headers: bare }, undefined, ask)).status).toBe(401);
  const escaped = '/v1/players/p%2D1/progress';
  expect((await call('getProgress', {}, escaped)).body).toMatchObject({ playerId: 'p-1' });
  expect(
    (await call('getProgress', { signed: { target: '/v1/players/p-1/progress' } }, escaped)).status,
  ).toBe(401);
});

interface Vector {
  readonly name: string;
  readonly now: number;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly bodyBase64: string;
}

describe('the published vectors', () => {
  const vectors = JSON.parse(
    readFileSync(new URL('../../api/signing-vectors.json', import.meta.url), 'utf8'),
  ) as {
    readonly secrets: Readonly<Record<string, string>>;
    readonly sessions: { readonly masterHex: string };
    readonly valid: readonly Vector[];
    readonly plain: readonly Vector[];
    readonly mustFail: readonly (Vector & { readonly code: string })[];
  };
  const game = {
    gameId: 'demo',
    sessionMasterId: 'm1',
    sessionMaster: Buffer.from(vectors.sessions.masterHex, 'hex'),
  };
  const keyOf = (keyId: string): SigningKey | null => {
    const secret = vectors.secrets[keyId];
    if (secret === undefined) return null;
    return {
      keyId,
      secret,
      gameId: keyId,
      scopes: new Set(['read', 'ingest']),
      schemes: new Set(['v1', 'plain-timestamp', 'plain-body']),
      trust: 'server',
      debug: false,
      notBeforeMs: 0,
      notAfterMs: null,
      revokedAtMs: null,
    };
  };
  const keys = new Map(Object.keys(vectors.secrets).map((keyId) => [keyId, keyOf(keyId)]));
  const ring: KeyRing = {
    key: (keyId) => keys.get(keyId) ?? null,
    game: (gameId) => (gameId === 'demo' ? (game as Game) : null),
    revocations: () => [],
    revocationsAreKnown: () => true,
    ageMs: () => 0,
  };
  const credentials = new Credentials(ring, 10, quietMetrics);
  const authenticate = createAuthenticate({ credentials, signedPathPrefix: '' });

  const judge = ({ now, method, target, headers, bodyBase64 }: Vector): Authenticated => {
    const request = new IncomingMessage(new Socket());
    request.method = method;
    request.url = target;
    request.headersDistinct = headers as Record<string, string[]>;
    return authenticate(request, Buffer.from(bodyBase64, 'base64'), null, now * 1000);
  };

  test.each(vectors.valid.map((vector) => [vector.name, vector] as const))('%s: holds', (_name, vector) => {
    expect(judge(vector)).toMatchObject({ ok: true });
  });

  test.each(vectors.mustFail.map((vector) => [vector.name, vector] as const))(
    '%s: is refused, and why',
    (_name, vector) => {
      expect(judge(vector)).toMatchObject({ ok: false, code: vector.code });
    },
  );

  test.each(vectors.plain.map((vector) => [vector.name, vector] as const))(
    '%s: is for events alone',
    (_name, vector) => {
      expect(judge(vector)).toMatchObject({ ok: false, code: 'invalid_signature' });
    },
  );

  test('B: the escape taken out of the target, another method or a body is refused', () => {
    const b = vectors.valid.find(({ name }) => name.startsWith('B:'));
    if (b === undefined) throw new Error('there is no vector B');
    expect(b.target).toContain('around=p%2D42');
    for (const changed of [
      { target: b.target.replace('p%2D42', 'p-42') },
      { target: b.target.replace('%2D', '%2d') },
      { target: `${b.target}&` },
      { method: 'HEAD' },
      { bodyBase64: 'IA==' },
    ])
      expect(judge({ ...b, ...changed })).toMatchObject({ ok: false, code: 'invalid_signature' });
    expect(judge({ ...b, now: b.now + 301 })).toMatchObject({
      ok: false,
      code: 'timestamp_out_of_tolerance',
      extras: { serverTime: b.now + 301 },
    });
  });
});
