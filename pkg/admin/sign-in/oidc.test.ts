import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { systemRandom } from '../../kernel/random.js';
import { createSealer, parseMasterKeys } from '../../secrets/seal.js';
import { SettableClock } from '../../testkit/settable-clock.js';
import { isFitForIssuer } from './issuer-fetch.js';
import { createOidc, type Oidc } from './oidc.js';

/** An issuer on this machine: what it answers can be changed, what it was asked is counted. */
interface Issuer {
  url: string;
  keys: { kid: string; privateKey: KeyObject; publicKey: KeyObject }[];
  isDown: boolean;
  asked: string[];
  form: URLSearchParams | null;
  idToken: string;
  discovery: Record<string, unknown>;
  redirectTo: string | null;
}

const AUDIENCE = 'dashboard';
const clock = new SettableClock(Date.now());
const sealer = createSealer(parseMasterKeys(`m1:${Buffer.alloc(32, 9).toString('base64')}`), systemRandom);
const issuer = {} as Issuer;
let server: Server;
let oidc: Oidc;

const newKey = (kid: string): Issuer['keys'][number] => ({ kid, ...generateKeyPairSync('ed25519') });

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? '';
    issuer.asked.push(path);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (issuer.isDown) return response.writeHead(503).end();
      if (issuer.redirectTo !== null) return response.writeHead(302, { location: issuer.redirectTo }).end();
      if (path === '/token') issuer.form = new URLSearchParams(Buffer.concat(chunks).toString());
      response.setHeader('content-type', 'application/json').end(JSON.stringify(answerTo(path)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  issuer.url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function answerTo(path: string): unknown {
  if (path === '/.well-known/openid-configuration') return issuer.discovery;
  if (path === '/token') return { id_token: issuer.idToken };
  const keys = issuer.keys.map(({ kid, publicKey }) => ({
    ...publicKey.export({ format: 'jwk' }),
    kid,
    alg: 'EdDSA',
  }));
  return { keys };
}

beforeEach(() => {
  Object.assign(issuer, {
    keys: [newKey('a')],
    isDown: false,
    asked: [],
    form: null,
    redirectTo: null,
    discovery: {
      issuer: issuer.url,
      authorization_endpoint: `${issuer.url}/authorize?flow=x`,
      token_endpoint: `${issuer.url}/token`,
      jwks_uri: `${issuer.url}/keys`,
    },
  });
  oidc = begin();
});

const begin = (clientSecret: string | null = null): Oidc =>
  createOidc({
    settings: {
      issuer: issuer.url,
      audience: AUDIENCE,
      clientSecret,
      redirectUri: 'https://admin.example/signed-in',
    },
    sealer,
    clock,
    random: systemRandom,
  });

const token = (
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  at = 0,
): Promise<string> => {
  const key = issuer.keys[at];
  if (key === undefined) throw new Error('no such key');
  const nowSeconds = Math.floor(clock.now() / 1000);
  const payload = {
    iss: issuer.url,
    aud: AUDIENCE,
    sub: 'them',
    iat: nowSeconds,
    exp: nowSeconds + 300,
    ...claims,
  };
  return new SignJWT(payload)
    .setProtectedHeader({ alg: 'EdDSA', kid: key.kid, ...header })
    .sign(key.privateKey);
};
const jwksAsked = (): number => issuer.asked.filter((path) => path === '/keys').length;

describe('a page that signs in at the issuer', () => {
  test('is sent there with state, nonce and a PKCE challenge, and comes back with a code', async () => {
    const { authorizationUrl, pending } = await oidc.start('/boards');
    const url = new URL(authorizationUrl);
    expect(url.searchParams.get('flow')).toBe('x');
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      client_id: AUDIENCE,
      response_type: 'code',
      redirect_uri: 'https://admin.example/signed-in',
      code_challenge_method: 'S256',
    });
    const state = url.searchParams.get('state') ?? '';
    issuer.idToken = await token({ nonce: url.searchParams.get('nonce'), email: 'them@game.example' });
    const { identity, returnTo } = await oidc.finish('the-code', state, pending);
    expect(identity).toEqual({ issuer: issuer.url, subject: 'them', name: 'them@game.example' });
    expect(returnTo).toBe('/boards');
    expect(issuer.form?.get('code_verifier')).toMatch(/^[\w-]{43}$/);
    expect(issuer.form?.has('client_secret')).toBe(false);
  });

  test('is refused with another state, another nonce, a code of the past or nothing pending', async () => {
    const { authorizationUrl, pending } = await oidc.start('/');
    const { searchParams } = new URL(authorizationUrl);
    const state = searchParams.get('state') ?? '';
    issuer.idToken = await token({ nonce: 'another' });
    const refused = expect.objectContaining({ code: 'sign_in_failed' });
    await expect(oidc.finish('c', state, pending)).rejects.toEqual(refused);
    issuer.idToken = await token({ nonce: searchParams.get('nonce') });
    await expect(oidc.finish('c', 'x', pending)).rejects.toEqual(refused);
    await expect(oidc.finish('c', state, null)).rejects.toEqual(refused);
    await expect(oidc.finish('c', state, `${pending.slice(0, -4)}AAAA`)).rejects.toEqual(refused);
    clock.advance(600_001);
    issuer.idToken = await token({ nonce: searchParams.get('nonce') });
    await expect(oidc.finish('c', state, pending)).rejects.toEqual(refused);
  });

  test('a client with a secret sends it', async () => {
    const confidential = begin('hush');
    const { authorizationUrl, pending } = await confidential.start('/');
    const { searchParams } = new URL(authorizationUrl);
    issuer.idToken = await token({ nonce: searchParams.get('nonce') });
    await confidential.finish('c', searchParams.get('state') ?? '', pending);
    expect(issuer.form?.get('client_secret')).toBe('hush');
  });
});

describe('a token of the issuer', () => {
  test('says who somebody is', async () => {
    expect(await oidc.identityOf(await token({ preferred_username: 'Them' }))).toMatchObject({
      name: 'Them',
    });
    expect(await oidc.identityOf(await token({}, { typ: 'at+jwt' }))).toMatchObject({ name: null });
  });

  test('row 65: with another audience, issuer, type or algorithm, past its end, or by another key is refused', async () => {
    const good = await token();
    const [head = '', body = ''] = good.split('.');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    const others = [
      await token({ aud: 'another' }),
      await token({ iss: 'https://evil.example' }),
      await token({ exp: 1 }),
      await token({ sub: '' }),
      await token({}, { typ: 'logout+jwt' }),
      await token({}, { kid: '../a' }),
      await token({}, { kid: "a' OR '1'='1" }),
      await token({}, { kid: 'b', jku: `${issuer.url}/keys` }),
      await token({}, { kid: 'b', jwk: issuer.keys[0]?.publicKey.export({ format: 'jwk' }) }),
      `${none}.${body}.`,
      `${head}.${body}.${'A'.repeat(86)}`,
      'no token at all',
    ];
    for (const other of others)
      await expect(oidc.identityOf(other)).rejects.toMatchObject({ code: 'sign_in_failed' });
    await oidc.identityOf(good);
  });

  test('row 66: keys are fetched once; a new key id makes us ask again, but once in half a minute', async () => {
    await oidc.identityOf(await token());
    issuer.keys.push(newKey('b'));
    for (let i = 0; i < 20; i += 1)
      await expect(oidc.identityOf(await token({}, {}, 1))).rejects.toMatchObject({ code: 'sign_in_failed' });
    expect(jwksAsked()).toBe(1);
    clock.advance(29_999);
    await expect(oidc.identityOf(await token({}, {}, 1))).rejects.toMatchObject({ code: 'sign_in_failed' });
    expect(jwksAsked()).toBe(1);
    clock.advance(1);
    expect(await oidc.identityOf(await token({}, {}, 1))).toMatchObject({ subject: 'them' });
    expect(jwksAsked()).toBe(2);
  });

  test('row 66: while the issuer is down, known keys go on, nobody else signs in, and it is asked once in half a minute', async () => {
    await oidc.identityOf(await token());
    issuer.isDown = true;
    issuer.keys.push(newKey('b'));
    const unknown = (): Promise<unknown> =>
      token({}, {}, 1)
        .then((one) => oidc.identityOf(one))
        .catch((error: unknown) => error);
    for (let minutes = 5; minutes < 60; minutes += 5) {
      clock.advance(300_000);
      issuer.asked = [];
      const refused = await Promise.all(Array.from({ length: 10 }, unknown));
      expect(refused).toEqual(refused.map(() => expect.objectContaining({ code: 'sign_in_failed' })));
      expect(await oidc.identityOf(await token())).toMatchObject({ subject: 'them' });
      expect(issuer.asked).toEqual(['/keys']);
    }
    // The issuer may have taken a key back since.
    clock.advance(300_000);
    await expect(oidc.identityOf(await token())).rejects.toMatchObject({ code: 'issuer_unavailable' });
    issuer.isDown = false;
    clock.advance(30_000);
    expect(await oidc.identityOf(await token({}, {}, 1))).toMatchObject({ subject: 'them' });
  });

  test('row 66: who begins while the issuer is down believes no token, asks once in half a minute, and recovers', async () => {
    const known = await token();
    issuer.isDown = true;
    const fresh = begin();
    issuer.asked = [];
    for (let i = 0; i < 20; i += 1)
      await expect(fresh.identityOf(known)).rejects.toMatchObject({ code: 'issuer_unavailable' });
    expect(issuer.asked).toHaveLength(1);
    issuer.isDown = false;
    clock.advance(30_000);
    expect(await fresh.identityOf(await token())).toMatchObject({ subject: 'them' });
  });
});

describe('the issuer', () => {
  test('whose document names another issuer or a place without TLS is not believed', async () => {
    issuer.discovery = { ...issuer.discovery, issuer: 'https://evil.example' };
    await expect(oidc.start('/')).rejects.toMatchObject({ code: 'issuer_unavailable' });
    issuer.discovery = { ...issuer.discovery, issuer: issuer.url, jwks_uri: 'http://10.0.0.1/keys' };
    const other = begin();
    await expect(other.identityOf(await token())).rejects.toMatchObject({ code: 'issuer_unavailable' });
  });

  test('is not followed when it redirects', async () => {
    issuer.redirectTo = `${issuer.url}/elsewhere`;
    await expect(oidc.start('/')).rejects.toMatchObject({ code: 'issuer_unavailable' });
    expect(issuer.asked).toEqual(['/.well-known/openid-configuration']);
  });

  test.each([
    ['https://id.example', true],
    ['http://localhost:9000', true],
    ['http://[::1]:9000/x', true],
    ['http://id.example', false],
    ['http://127.0.0.1.evil.example', false],
    ['http://169.254.169.254/latest', false],
    ['https://user:secret@id.example', false],
    ['file:///etc/passwd', false],
    ['', false],
  ])('%s is %s for an issuer', (url, isFit) => {
    expect(isFitForIssuer(url)).toBe(isFit);
  });
});
