import { createHash, createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { isRequestTarget } from './canonical.js';
import { formatSessionKeyId, parseSessionKeyId, sessionSecret, type SessionScope } from './session.js';
import { sign, signPlain } from './sign.js';
import { canonicalOf, checkTime, readSignedHeaders, verifyMac, verifyPlainMac } from './verify.js';

interface RequestVector {
  readonly name: string;
  readonly now: number;
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly bodyBase64: string;
}

interface SessionVector {
  readonly keyId: string;
  readonly masterId: string;
  readonly gameId: string;
  readonly playerId: string;
  readonly scopes: readonly SessionScope[];
  readonly iat: number;
  readonly exp: number;
  readonly sid: string;
  readonly secret: string;
}

interface Vectors {
  readonly secrets: Readonly<Record<string, string>>;
  readonly valid: readonly (RequestVector & { bodySha256: string; canonical: string })[];
  readonly plain: readonly (RequestVector & { scheme: string })[];
  readonly mustFail: readonly (RequestVector & { code: string })[];
  readonly sessions: {
    readonly masterHex: string;
    readonly valid: readonly SessionVector[];
    readonly refused: readonly { name: string; keyId: string }[];
  };
}

const file = new URL('../../api/signing-vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;
const sessionMaster = Buffer.from(vectors.sessions.masterHex, 'hex');
const secretOf = (keyId: string): string => vectors.secrets[keyId] ?? sessionSecret(sessionMaster, keyId);
const sha256Hex = (body: Buffer): string => createHash('sha256').update(body).digest('hex');

/** The steps of a listener, with every key allowed every scheme. */
function verdictOf(vector: RequestVector): string {
  const body = Buffer.from(vector.bodyBase64, 'base64');
  if (!isRequestTarget(vector.target)) return 'invalid_request_target';
  const read = readSignedHeaders(vector.headers);
  if (!read.ok) return read.code;
  const time = checkTime(read.headers, vector.now * 1000);
  if (time !== 'ok') return time;
  const secret = secretOf(read.headers.keyId);
  const verified =
    read.headers.scheme === 'v1'
      ? verifyMac(vector, read.headers, sha256Hex(body), secret)
      : verifyPlainMac(read.headers, body, secret);
  return verified ? 'ok' : 'invalid_signature';
}

describe('api/signing-vectors.json', () => {
  test.each(vectors.valid)('verifies: $name', (vector) => {
    const body = Buffer.from(vector.bodyBase64, 'base64');
    const read = readSignedHeaders(vector.headers);
    if (!read.ok) throw new Error(read.code);
    expect(sha256Hex(body)).toBe(vector.bodySha256);
    expect(canonicalOf(vector, read.headers, vector.bodySha256)).toBe(vector.canonical);
    expect(verdictOf(vector)).toBe('ok');
  });

  test.each(vectors.valid)('signs the same: $name', (vector) => {
    const read = readSignedHeaders(vector.headers);
    if (!read.ok) throw new Error(read.code);
    const { keyId, timestamp, idempotencyKey, encoding } = read.headers;
    const signed = sign({
      method: vector.method.toLowerCase(),
      target: vector.target,
      keyId,
      timestamp: timestamp ?? '',
      ...(idempotencyKey === null ? {} : { idempotencyKey }),
      encoding,
      body: Buffer.from(vector.bodyBase64, 'base64'),
      secret: secretOf(keyId),
    });
    expect(signed.canonical).toBe(vector.canonical);
    expect(vector.headers['x-signature']?.[0]).toContain(signed.signature);
  });

  test('holds the three vectors of the specification', () => {
    const macs = vectors.valid.slice(0, 3).map(({ headers }) => headers['x-signature']?.[0]);
    expect(macs).toEqual([
      'v1=2b88812ec243f70c2445920f98a8e4287bac830061efdbef9565d113b012dc19',
      'v1=8258ebde6f17a946725be84334fb9d4102dab738079da9361af44e4e81c84303',
      'v1=7b9e8aa20bc547b8b70af375befde8cb115f68f4ce63fee36abf6d8fbcbcf43c',
    ]);
    expect(vectors.valid[2]?.headers['x-key-id']).toEqual([
      'ps1.m1.demo.cC00Mg.ir.1795176000.1795179600.AAECAwQFBgcICQoLDA0ODw',
    ]);
    expect(vectors.sessions.valid[0]?.secret).toBe('kMBQCO5u8qNcs4l6-uVXEknzBrsjHNCi5y-rbDxM23Q');
  });

  test.each(vectors.plain)('verifies a plain scheme: $name', (vector) => {
    expect(readSignedHeaders(vector.headers)).toMatchObject({
      ok: true,
      headers: { scheme: vector.scheme, idempotencyKey: null },
    });
    expect(verdictOf(vector)).toBe('ok');
    const timestamp = vector.headers['x-timestamp']?.[0] ?? null;
    const signature = signPlain(Buffer.from(vector.bodyBase64, 'base64'), timestamp, secretOf('demo'));
    expect(vector.headers['x-signature']).toEqual([signature]);
  });

  test.each(vectors.mustFail)('rows 5-8, 10, 13: refuses $name', (vector) => {
    expect(verdictOf(vector)).toBe(vector.code);
  });

  test.each(vectors.sessions.valid)(
    'reads and writes the session $keyId',
    ({ keyId, secret, ...session }) => {
      const scopes = new Set(session.scopes);
      expect(parseSessionKeyId(keyId)).toEqual({ ...session, scopes });
      expect(formatSessionKeyId({ ...session, scopes })).toBe(keyId);
      expect(sessionSecret(sessionMaster, keyId)).toBe(secret);
    },
  );

  test.each(vectors.sessions.refused)('refuses a session key id with $name', ({ keyId }) => {
    expect(parseSessionKeyId(keyId)).toBeNull();
    const headers = {
      'x-key-id': [keyId],
      'x-timestamp': ['1795176000'],
      'x-signature': [`v1=${'0'.repeat(64)}`],
    };
    expect(readSignedHeaders(headers)).toEqual({ ok: false, code: 'invalid_signature' });
  });
});

describe('the primitives are those of the standards', () => {
  test('HMAC-SHA256: RFC 4231 cases 1, 2, 3 and 6', () => {
    expect(signPlain('Hi There', null, '\u000b'.repeat(20))).toBe(
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    );
    expect(signPlain('what do ya want for nothing?', null, 'Jefe')).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    const mac = (key: Buffer, data: Buffer | string): string =>
      createHmac('sha256', key).update(data).digest('hex');
    expect(mac(Buffer.alloc(20, 0xaa), Buffer.alloc(50, 0xdd))).toBe(
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    );
    expect(mac(Buffer.alloc(131, 0xaa), 'Test Using Larger Than Block-Size Key - Hash Key First')).toBe(
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    );
  });

  test('HKDF-SHA256: RFC 5869 cases 1 and 3', () => {
    const hex = (key: Buffer, salt: string, info: string): string =>
      Buffer.from(hkdfSync('sha256', key, Buffer.from(salt, 'hex'), Buffer.from(info, 'hex'), 42)).toString(
        'hex',
      );
    const key = Buffer.alloc(22, 0x0b);
    expect(hex(key, '000102030405060708090a0b0c', 'f0f1f2f3f4f5f6f7f8f9')).toBe(
      '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    );
    expect(hex(key, '', '')).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });
});
