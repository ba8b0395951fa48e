import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyCharacter } from '../testkit/any-character.js';
import { canonicalString, EMPTY_BODY_SHA256, isRequestTarget, readIdempotencyKey } from './canonical.js';
import { mintSessionKeyId, parseSessionKeyId } from './session.js';
import { sign } from './sign.js';
import { checkTime, readSignedHeaders, verifyMac, verifyPlainMac, type DistinctHeaders } from './verify.js';

const secret = 'demo-secret-0123456789abcdef0123456789';
const line = { method: 'POST', target: '/v1/events' };
const signed = sign({ ...line, keyId: 'demo', timestamp: '1795176000', body: '', secret });
const headers: DistinctHeaders = {
  'x-key-id': ['demo'],
  'x-timestamp': ['1795176000'],
  'x-signature': [signed.signature],
};
const sound = readSignedHeaders(headers);
if (!sound.ok) throw new Error(sound.code);

describe('the canonical string', () => {
  test('is eight lines without a line feed at the end', () => {
    expect(signed.canonical).toBe(`v1\nPOST\n/v1/events\ndemo\n1795176000\n\nidentity\n${EMPTY_BODY_SHA256}`);
  });

  test('no two requests share one: no accepted part can hold a line feed', () => {
    const part = fc.string({ unit: fc.constantFrom('a', '/', '\n', '\r', ' ', '#', '\u0000', 'é') });
    fc.assert(
      fc.property(part, part, (target, key) => {
        if (isRequestTarget(target)) expect(target).toMatch(/^\/[a/]*$/);
        expect(readIdempotencyKey(key) ?? '').toMatch(/^a*$/);
      }),
    );
    expect(readIdempotencyKey('a\n')).toBeNull();
    expect(isRequestTarget('/a\n')).toBe(false);
    const { length } = canonicalString({
      ...sound.headers,
      ...line,
      timestamp: '1',
      bodySha256Hex: '',
    }).split('\n');
    expect(length).toBe(8);
  });

  test.each([
    ['/', true],
    [`/${'a'.repeat(2047)}`, true],
    [`/${'a'.repeat(2048)}`, false],
    ['', false],
    ['*', false],
    ['http://host/v1/events', false],
    ['/a#b', false],
    ['/a b', false],
    ['/é', false],
    ['/%2F?x=%20&&~!"', true],
  ])('the request target %.40s is allowed: %p', (target, allowed) => {
    expect(isRequestTarget(target)).toBe(allowed);
  });
});

describe('the signed headers', () => {
  test('row 6: any text in any of them gives an answer, never an exception', () => {
    const text = fc.oneof(
      fc.string({ unit: anyCharacter, maxLength: 80 }),
      fc.string({ unit: fc.constantFrom('v', '1', '=', ',', 'a', 'f', ' '), maxLength: 80 }),
    );
    const values = fc.option(fc.array(text, { maxLength: 2 }), { nil: undefined });
    const names = ['x-key-id', 'x-timestamp', 'idempotency-key', 'x-signature', 'content-encoding'];
    fc.assert(
      fc.property(fc.constantFrom(...names), values, (name, value) => {
        const read = readSignedHeaders({ ...headers, [name]: value });
        if (!read.ok) expect(read.code).toMatch(/^[a-z_]+$/);
        else {
          expect(typeof verifyMac(line, read.headers, EMPTY_BODY_SHA256, secret)).toBe('boolean');
          expect(typeof verifyPlainMac(read.headers, Buffer.alloc(0), secret)).toBe('boolean');
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('row 6: a hundred signatures, and one of 16 KiB, are refused', () => {
    for (const signature of [Array(100).fill(signed.signature).join(','), `v1=${'a'.repeat(16_384)}`]) {
      expect(readSignedHeaders({ ...headers, 'x-signature': [signature] })).toEqual({
        ok: false,
        code: 'invalid_signature',
      });
    }
  });

  test('row 13: exactly the keys of the grammar are taken, white space around them is not part of them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', maxLength: 140 }), (text) => {
        const read = readSignedHeaders({ ...headers, 'idempotency-key': [text] });
        const trimmed = text.replace(/^ +| +$/g, '');
        if (/^[A-Za-z0-9_.:-]{1,128}$/.test(trimmed)) {
          expect(read).toMatchObject({ ok: true, headers: { idempotencyKey: trimmed } });
        } else expect(read).toEqual({ ok: false, code: 'invalid_idempotency_key' });
      }),
    );
  });

  test('row 10: the clocks may differ by 300 s either way and by no millisecond more', () => {
    const at = 1795176000_000;
    for (const nowMs of [at, at - 300_000, at + 300_000]) expect(checkTime(sound.headers, nowMs)).toBe('ok');
    for (const nowMs of [at - 300_001, at + 300_001, 0]) {
      expect(checkTime(sound.headers, nowMs)).toBe('timestamp_out_of_tolerance');
    }
  });
});

describe('the MAC', () => {
  test('row 5: every flipped bit is refused', () => {
    const mac = Buffer.from(sound.headers.macHex, 'hex');
    expect(verifyMac(line, sound.headers, EMPTY_BODY_SHA256, secret)).toBe(true);
    for (let bit = 0; bit < 256; bit += 1) {
      const flipped = Buffer.from(mac);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const wrong = { ...sound.headers, macHex: flipped.toString('hex') };
      expect(verifyMac(line, wrong, EMPTY_BODY_SHA256, secret)).toBe(false);
    }
  });

  test('row 6: a MAC that is no 64 hex digits is refused even where the header was not checked', () => {
    for (const macHex of [
      '',
      'zz',
      '00',
      sound.headers.macHex.slice(2),
      sound.headers.macHex.toUpperCase(),
    ]) {
      expect(verifyMac(line, { ...sound.headers, macHex }, EMPTY_BODY_SHA256, secret)).toBe(false);
    }
  });

  test('a scheme is verified as itself alone', () => {
    expect(verifyPlainMac(sound.headers, Buffer.alloc(0), secret)).toBe(false);
    const plain = { ...sound.headers, scheme: 'plain-body' as const };
    expect(verifyMac(line, plain, EMPTY_BODY_SHA256, secret)).toBe(false);
  });
});

describe('minting a session', () => {
  const session = {
    masterId: 'm1',
    gameId: 'demo',
    playerId: 'p-42',
    scopes: new Set(['ingest', 'read'] as const),
    iat: 1795176000,
    exp: 1795179600,
    sid: Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex'),
  };

  test('gives the key id of the specification', () => {
    expect(mintSessionKeyId(session)).toBe(
      'ps1.m1.demo.cC00Mg.ir.1795176000.1795179600.AAECAwQFBgcICQoLDA0ODw',
    );
  });

  test('row 24: any player id of at most 128 bytes comes back exactly, and no other is minted', () => {
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, minLength: 1, maxLength: 60 }), (playerId) => {
        const allowed =
          Buffer.byteLength(playerId) <= 128 &&
          Buffer.from(playerId).toString() === playerId &&
          !/[\u0000\ufffe\uffff]/.test(playerId);
        if (allowed) {
          expect(parseSessionKeyId(mintSessionKeyId({ ...session, playerId }))?.playerId).toBe(playerId);
        } else expect(() => mintSessionKeyId({ ...session, playerId })).toThrow('outside its grammar');
      }),
    );
  });

  test.each([
    ['no player', { playerId: '' }],
    ['half a surrogate pair', { playerId: 'p\ud800' }],
    ['no scope', { scopes: new Set<never>() }],
    ['more than 24 h', { exp: session.iat + 86_401 }],
    ['no life', { exp: session.iat }],
    ['a short sid', { sid: Buffer.alloc(15) }],
    ['a fraction of a second', { iat: session.iat + 0.5 }],
    ['a game outside its grammar', { gameId: 'Demo' }],
  ])('refuses %s', (_name, change) => {
    expect(() => mintSessionKeyId({ ...session, ...change })).toThrow(
      expect.objectContaining({ code: 'invalid_session' }),
    );
  });
});

describe('a request of any kind', () => {
  const requests = fc.record({
    method: fc.constantFrom('GET', 'POST', 'DELETE'),
    target: fc.stringMatching(/^\/[\x21\x22\x24-\x7e]{0,30}$/),
    keyId: fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/),
    timestamp: fc.integer({ min: 1_000_000_000, max: 9_999_999_999 }).map(String),
    idempotencyKey: fc.option(fc.stringMatching(/^[A-Za-z0-9_.:-]{1,20}$/), { nil: null }),
    encoding: fc.constantFrom('identity' as const, 'gzip' as const),
    body: fc.uint8Array({ maxLength: 40 }),
    // HMAC fills a short key up with zero bytes, so it takes none here.
    secret: fc.stringMatching(/^[\x20-\x7e]{1,40}$/),
  });
  type Request = typeof requests extends fc.Arbitrary<infer T> ? T : never;

  const signatureOf = ({ idempotencyKey, ...request }: Request): string =>
    sign({ ...request, ...(idempotencyKey === null ? {} : { idempotencyKey }) }).signature;

  /** As a server sees a request that bears somebody's signature. */
  function holds(request: Request, signature: string): boolean {
    const read = readSignedHeaders({
      'x-key-id': [request.keyId],
      'x-timestamp': [request.timestamp],
      'x-signature': [signature],
      'content-encoding': [request.encoding],
      ...(request.idempotencyKey === null ? {} : { 'idempotency-key': [request.idempotencyKey] }),
    });
    if (!read.ok) throw new Error(read.code);
    const bodyHash = createHash('sha256').update(request.body).digest('hex');
    return verifyMac(request, read.headers, bodyHash, request.secret);
  }

  test('is verified by what was signed, and by nothing else of another request', () => {
    const parts = fc.subarray([
      ...([
        'method',
        'target',
        'keyId',
        'timestamp',
        'idempotencyKey',
        'encoding',
        'body',
        'secret',
      ] as const),
    ]);
    fc.assert(
      fc.property(requests, requests, parts, (request, other, taken) => {
        const signature = signatureOf(request);
        expect(holds(request, signature)).toBe(true);
        const mixed = { ...request, ...Object.fromEntries(taken.map((part) => [part, other[part]])) };
        const isSame = taken.every((part) => isDeepStrictEqual(request[part], other[part]));
        expect(holds(mixed, signature)).toBe(isSame);
      }),
      { numRuns: 300 },
    );
  });
});
