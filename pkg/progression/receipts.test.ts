import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, compactVerify, exportJWK, jwtVerify } from 'jose';
import { roleEvent, TEST_TS_MS } from '../testkit/admitted-event.js';
import { testDefinition } from '../testkit/definition.js';
import { foldProgression, newcomer, playerRef } from './fold.js';
import type { ReceiptAuthority, ReceiptClaims } from './port.js';
import { createReceiptSigner } from './receipt-signer.js';
import { receiptGrant, receiptIdOf, signReceipt, verifyReceipt } from './receipts.js';

const ISSUER = 'https://liveops.example';
const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const kid = await calculateJwkThumbprint(await exportJWK(publicKey));
const signer = createReceiptSigner({
  issuer: ISSUER,
  keys: { current: () => Promise.resolve({ kid, privateKey }) },
});

const authority: ReceiptAuthority = {
  issuer: ISSUER,
  publicKey: (wanted) => Promise.resolve(wanted === kid ? { gameId: 'demo', publicKey } : null),
  isRevoked: () => Promise.resolve(false),
};

const drop = roleEvent(testDefinition(), {
  id: 'evt-1',
  playerId: 'p-42',
  type: 'drop_claimed',
  src: 'client',
  payload: { dropId: 'd-1', itemId: 'sword', quantity: 2 },
});
const players = new Map([[playerRef(drop.event), newcomer(drop.event)]]);
const [grant] = foldProgression({ players, granted: new Set() }, [drop]).grants;
if (grant === undefined) throw new Error('the drop grants nothing');
const claims = receiptGrant(grant);
const { jws } = await signer.sign('demo', claims);
const whole: ReceiptClaims = { iss: ISSUER, aud: 'game:demo', ...claims };

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const decoded = (text: string | undefined): unknown =>
  JSON.parse(Buffer.from(text ?? '', 'base64url').toString());
/** A JWS with any header and claims, signed rightly. */
const signed = (header: object, body: unknown, key: KeyObject = privateKey): string => {
  const input = `${part(header)}.${part(body)}`;
  return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`;
};
const ourHeader = { alg: 'EdDSA', typ: 'fairtally-receipt+jwt', kid };
const codeOf = async (text: string): Promise<unknown> =>
  (await verifyReceipt(text, authority)).code ?? 'valid';

describe('signing', () => {
  test('the header is exactly alg, typ and kid, and the claims say what was granted to whom and why', () => {
    const [header, payload] = jws.split('.');
    expect(decoded(header)).toEqual(ourHeader);
    expect(decoded(payload)).toEqual({
      iss: ISSUER,
      aud: 'game:demo',
      sub: 'p-42',
      jti: receiptIdOf('demo', 'p-42', 'drop:d-1'),
      iat: Math.floor(TEST_TS_MS / 1000),
      reward: 'sword',
      amount: 2,
      cause: 'drop:d-1',
      src: 'client',
    });
  });

  test('signing again with the same key gives the same bytes', async () => {
    expect((await signer.sign('demo', claims)).jws).toBe(jws);
    expect(await signReceipt(whole, kid, privateKey)).toBe(jws);
  });

  test('receipts signed at once ask for the key once, and a failure is not remembered', async () => {
    let asked = 0;
    const keys = {
      current: async () => {
        asked += 1;
        await Promise.resolve();
        if (asked === 1) throw new Error('down');
        return { kid, privateKey };
      },
    };
    const other = createReceiptSigner({ issuer: ISSUER, keys });
    await expect(other.sign('demo', claims)).rejects.toThrow('down');
    const both = await Promise.all([other.sign('demo', claims), other.sign('demo', claims)]);
    expect(both.map((signature) => signature.jws)).toEqual([jws, jws]);
    expect(asked).toBe(2);
  });

  test('a JOSE library that knows EdDSA verifies it', async () => {
    const { payload, protectedHeader } = await jwtVerify(jws, publicKey, {
      algorithms: ['EdDSA'],
      typ: 'fairtally-receipt+jwt',
      issuer: ISSUER,
      audience: 'game:demo',
      subject: 'p-42',
    });
    expect(payload).toEqual(whole);
    expect(protectedHeader).toEqual(ourHeader);
    await expect(compactVerify(jws, generateKeyPairSync('ed25519').publicKey)).rejects.toThrow();
  });

  test('an id follows from game, player and cause, and no two lists of them share one', () => {
    expect(claims.jti).toMatch(/^[A-Za-z0-9_-]{22}$/);
    const ids = [
      receiptIdOf('demo', 'p-42', 'drop:d-1'),
      receiptIdOf('demo', 'p-4', '2drop:d-1'),
      receiptIdOf('demo', 'p-42', 'drop:d-2'),
      receiptIdOf('demo2', 'p-42', 'drop:d-1'),
    ];
    expect(new Set(ids).size).toBe(4);
    // A receipt is held for good: its id may never be computed in another way.
    expect(ids[0]).toBe('FtDpSVW6djs6xeg9wczXuQ');
  });
});

describe('the primitive', () => {
  const seed = '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60';
  const pkcs8 = Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.from(seed, 'hex'),
  ]);
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });

  test('it is the Ed25519 of RFC 8032 section 7.1, test 1', () => {
    expect(createPublicKey(key).export({ format: 'jwk' }).x).toBe(
      '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    );
    expect(sign(null, Buffer.alloc(0), key).toString('hex')).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155' +
        '5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
  });

  test('it signs the JWS of RFC 8037 appendix A.4', () => {
    const input = 'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc';
    expect(sign(null, Buffer.from(input), key).toString('base64url')).toBe(
      'hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg',
    );
  });
});

describe('checking', () => {
  test('a receipt as issued is valid', async () => {
    expect(await verifyReceipt(jws, authority)).toEqual({ valid: true, claims: whole, revoked: false });
  });

  test('a revoked receipt is not valid and says so', async () => {
    const asked: unknown[] = [];
    const revoking: ReceiptAuthority = {
      ...authority,
      isRevoked: (...about) => {
        asked.push(about);
        return Promise.resolve(true);
      },
    };
    const verdict = await verifyReceipt(jws, revoking);
    expect(verdict).toEqual({ valid: false, claims: whole, revoked: true, code: 'revoked' });
    expect(asked).toEqual([['demo', claims.jti]]);
  });

  test('any changed character is refused', async () => {
    for (let at = 0; at < jws.length; at += 1) {
      const other = jws[at] === 'A' ? 'B' : 'A';
      const verdict = await verifyReceipt(jws.slice(0, at) + other + jws.slice(at + 1), authority);
      expect(verdict).toMatchObject({ valid: false });
    }
  });

  test('another spelling of the same signature bytes is refused', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const twin = alphabet[alphabet.indexOf(jws.at(-1) ?? '') ^ 1] ?? '';
    expect(await codeOf(jws.slice(0, -1) + twin)).toBe('malformed');
  });

  test.each(['', '.', '..', 'a.b.c', 'not a jws', `${jws}.`, `${jws}=`, ` ${jws}`, 'x'.repeat(10_000)])(
    'text %# is malformed',
    async (text) => {
      expect(await codeOf(text)).toBe('malformed');
    },
  );

  test('row 65: no algorithm, a MAC under the public key, or any other header is refused', async () => {
    const headers: object[] = [
      { ...ourHeader, alg: 'none' },
      { ...ourHeader, alg: 'HS256' },
      { ...ourHeader, alg: 'eddsa' },
      { ...ourHeader, alg: ['EdDSA'] },
      { ...ourHeader, typ: 'JWT' },
      { alg: 'EdDSA', kid },
      { alg: 'EdDSA', typ: 'fairtally-receipt+jwt' },
      { ...ourHeader, crit: ['exp'] },
      { ...ourHeader, jwk: publicKey.export({ format: 'jwk' }) },
      { ...ourHeader, kid: '../../etc/passwd' },
      { ...ourHeader, kid: "' OR 1=1 --" },
      { ...ourHeader, kid: 7 },
    ];
    for (const header of headers) expect(await codeOf(signed(header, whole))).toBe('wrong_header');
    expect(await codeOf(`${part({ alg: 'none' })}.${part(whole)}.`)).toBe('malformed');
  });

  test('row 65: an unknown kid, another key and another game are refused', async () => {
    expect(await codeOf(signed({ ...ourHeader, kid: 'other' }, whole))).toBe('unknown_key');
    const crossing = { ...whole, aud: 'game:other', jti: receiptIdOf('other', 'p-42', 'drop:d-1') };
    expect(await codeOf(signed(ourHeader, crossing))).toBe('wrong_claims');
    const stranger = generateKeyPairSync('ed25519').privateKey;
    expect(await codeOf(signed(ourHeader, whole, stranger))).toBe('bad_signature');
  });

  test.each([
    ['aud', 'demo'],
    ['aud', ['game:demo']],
    ['iss', 'https://elsewhere.example'],
    ['jti', receiptIdOf('demo', 'p-42', 'drop:d-2')],
    ['amount', '2'],
    ['iat', 1.5],
    ['src', 'admin'],
    ['sub', undefined],
  ])('rightly signed claims with another %s are no receipt', async (name, value) => {
    expect(await codeOf(signed(ourHeader, { ...whole, [name]: value }))).toBe('wrong_claims');
  });

  test('a key that is not Ed25519 is never used', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const verdict = await verifyReceipt(jws, {
      ...authority,
      publicKey: () => Promise.resolve({ gameId: 'demo', publicKey: rsa }),
    });
    expect(verdict).toEqual({ valid: false, code: 'unknown_key' });
  });

  test('keys that cannot be read make the check fail, not the receipt', async () => {
    const broken = { ...authority, publicKey: () => Promise.reject(new Error('down')) };
    await expect(verifyReceipt(jws, broken)).rejects.toThrow('down');
  });
});
