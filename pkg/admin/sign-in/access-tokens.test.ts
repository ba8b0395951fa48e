import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { SettableClock } from '../../testkit/settable-clock.js';
import { createAccessTokens, type TokenKeys } from './access-tokens.js';

const clock = new SettableClock(1_795_000_000_000);
const pair = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const asked: string[] = [];
const keys: TokenKeys = {
  current: () => ({ kid: 'k1', privateKey: pair.privateKey }),
  publicKey: async (kid) => {
    asked.push(kid);
    return kid === 'k1' ? pair.publicKey : null;
  },
};
const tokens = createAccessTokens(keys, clock);
const claims = { userId: 'u1', sessionId: 's1' };

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const nowSeconds = 1_795_000_000;
const good = {
  iss: 'fairtally-admin',
  aud: 'fairtally-admin',
  sub: 'u1',
  sid: 's1',
  iat: nowSeconds,
  exp: nowSeconds + 900,
};

/** A token signed by a key of ours, with one thing different. */
const made = (
  payload: Record<string, unknown>,
  header: Record<string, unknown> = {},
  key: KeyObject = pair.privateKey,
): Promise<string> =>
  new SignJWT(payload).setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: 'k1', ...header }).sign(key);

test('a token of ours says whose it is until a quarter of an hour has passed', async () => {
  const { token, expiresAtMs } = await tokens.sign(claims);
  expect(await tokens.verify(token)).toEqual(claims);
  expect(expiresAtMs).toBe(clock.now() + 900_000);
  const later = createAccessTokens(keys, new SettableClock(expiresAtMs + 1_000));
  expect(await later.verify(token)).toBeNull();
});

test('row 65: no algorithm, an HMAC with the public key, and every algorithm but ours are refused', async () => {
  const body = part(good);
  const spki = pair.publicKey.export({ format: 'pem', type: 'spki' });
  const raw = pair.publicKey.export({ format: 'jwk' }).x ?? '';
  const hs = part({ alg: 'HS256', typ: 'at+jwt', kid: 'k1' });
  const macs = [spki, Buffer.from(raw, 'base64url')].map((secret) =>
    createHmac('sha256', secret).update(`${hs}.${body}`).digest('base64url'),
  );
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const forged = [
    `${part({ alg: 'none', typ: 'at+jwt', kid: 'k1' })}.${body}.`,
    `${part({ alg: 'none', typ: 'at+jwt', kid: 'k1' })}.${body}.AAAA`,
    ...macs.map((mac) => `${hs}.${body}.${mac}`),
    await made(good, { alg: 'RS256' }, rsa.privateKey),
    await made(good, {}, stranger.privateKey),
  ];
  for (const token of forged) expect(await tokens.verify(token)).toBeNull();
});

test('row 65: a key is looked up by its id and taken from nowhere else, whatever the id says', async () => {
  asked.length = 0;
  const jwk = stranger.publicKey.export({ format: 'jwk' });
  const headers = [
    { kid: '../../etc/passwd' },
    { kid: "' OR 1=1 --" },
    { kid: undefined },
    { kid: 'k2', jwk },
    { jku: 'http://127.0.0.1:1/keys', kid: 'k3' },
  ];
  for (const header of headers)
    expect(await tokens.verify(await made(good, header as never, stranger.privateKey))).toBeNull();
  expect(asked).toEqual(['../../etc/passwd', "' OR 1=1 --", 'k2', 'k3']);
});

test('row 65: a token of another type, issuer or audience, or without what ours all have, is refused', async () => {
  const { sid: _sid, ...withoutSession } = good;
  const { exp: _exp, ...withoutEnd } = good;
  const others = [
    made(good, { typ: 'JWT' }),
    made(good, { typ: undefined }),
    made({ ...good, iss: 'somebody' }),
    made({ ...good, aud: 'fairtally' }),
    made(withoutSession),
    made(withoutEnd),
    made({ ...good, exp: nowSeconds + 1e9, iat: nowSeconds - 1_000 }),
    made({ ...good, iat: nowSeconds + 1_000, exp: nowSeconds + 1_900 }),
    made({ ...good, sub: 7 }),
  ];
  for (const token of await Promise.all(others)) expect(await tokens.verify(token)).toBeNull();
  expect(await tokens.verify(await made(good))).toEqual(claims);
});

test('what is no token is nobody’s, and costs nothing', async () => {
  for (const text of ['', 'a', 'a.b.c', '..', 'x'.repeat(100_000)])
    expect(await tokens.verify(text)).toBeNull();
});
