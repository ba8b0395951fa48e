import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import {
  INGEST_NOW_MS,
  ingestEvent,
  startIngestServer,
  type IngestServer,
} from '../testkit/ingest-server.js';

let ingest: IngestServer;
beforeAll(async () => {
  ingest = await startIngestServer();
});
afterAll(() => ingest.close());
beforeEach(() => {
  ingest.published.length = 0;
  ingest.world.nowMs = INGEST_NOW_MS;
  ingest.world.ringAgeMs = 0;
  ingest.world.overfullGames.clear();
  ingest.world.revocations = [];
});
const one = (over = {}): string => JSON.stringify(ingestEvent(over));

describe('signatures', () => {
  test('a signed event is published and acknowledged', async () => {
    const reply = await ingest.post({ body: one({ id: 'evt-first' }) });
    expect(reply.status).toBe(202);
    expect(reply.json).toEqual({
      accepted: 1,
      duplicates: 0,
      rejected: 0,
      results: [{ index: 0, status: 'accepted', eventId: 'evt-first' }],
    });
    expect(ingest.events()).toMatchObject([
      { id: 'evt-first', gameId: 'demo', keyId: 'demo', src: 'server', mapped: true },
    ]);
  });

  test('row 5: no single bit of the signature can be changed, and a wrong one looks like an unknown key', async () => {
    const body = one();
    const right = /v1=([0-9a-f]{64})/.exec(ingest.bytes({ body }).toString('latin1'))?.[1] ?? '';
    const mac = Buffer.from(right, 'hex');
    const unknown = await ingest.post({ body, keyId: 'nobody' });
    for (let bit = 0; bit < 256; bit += 1) {
      const flipped = Buffer.from(mac);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const reply = await ingest.post({ body, headers: { 'X-Signature': `v1=${flipped.toString('hex')}` } });
      expect(reply.status).toBe(401);
      expect({ ...reply.json, requestId: '' }).toEqual({ ...unknown.json, requestId: '' });
    }
    expect(unknown.json).toMatchObject({ code: 'invalid_signature', retryable: false });
    expect(ingest.published).toEqual([]);
  });

  test('row 5: expired, not yet valid and revoked keys look like an unknown key', async () => {
    const unknown = await ingest.post({ body: one(), keyId: 'nobody' });
    for (const keyId of ['expired', 'future', 'revoked']) {
      const reply = await ingest.post({ body: one(), keyId });
      expect({ ...reply.json, requestId: '' }).toEqual({ ...unknown.json, requestId: '' });
    }
  });

  test('row 6: junk, other lengths and a hundred signatures are 401, never 500', async () => {
    const hundred = Array.from({ length: 100 }, (_, i) => `v${String(i + 1)}=${'a'.repeat(64)}`).join(', ');
    for (const signature of [
      hundred,
      'v1=',
      'v1=zz',
      `v1=${'A'.repeat(64)}`,
      'a'.repeat(63),
      '====',
      'v1=v1=v1',
    ]) {
      expect((await ingest.post({ body: one(), headers: { 'X-Signature': signature } })).status).toBe(401);
    }
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom(...'v1=,abcdef0189 ;"\\~'), minLength: 1 }),
        async (junk) => {
          const reply = await ingest.post({ body: '{}', headers: { 'X-Signature': `x${junk}` } });
          expect(reply.status).toBe(401);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('row 7: a signature of another path, method or game is 401', async () => {
    const body = JSON.stringify([ingestEvent()]);
    const signed = (path: string, keyId = 'demo') => ingest.bytes({ path, body, keyId }).toString('latin1');
    const paths = ['/v1/events', '/events', '/v1/events/batch', '/v1/events?x=1', '/v1/events/batch?x=%2D'];
    for (const from of paths) {
      for (const to of paths) {
        if (from === to) continue;
        const text = signed(from).replace(`POST ${from} `, `POST ${to} `);
        expect(await ingest.raw(text, (got) => got.includes('}'))).toContain('HTTP/1.1 401');
      }
    }
    const swapped = signed('/v1/events').replace('X-Key-Id: demo', 'X-Key-Id: other');
    expect(await ingest.raw(swapped, (got) => got.includes('}'))).toContain('HTTP/1.1 401');
    expect(ingest.published).toEqual([]);
  });

  test('row 8: a body with one more space is 401, with the advice to sign the raw bytes', async () => {
    const body = one();
    const bytes = ingest.bytes({ body, headers: { 'Content-Length': String(body.length + 1) } });
    const reply = await ingest.raw(Buffer.concat([bytes, Buffer.from(' ')]), (got) => got.includes('}'));
    expect(reply).toContain('HTTP/1.1 401');
    expect(reply).toContain('Sign the raw bytes');
  });

  test('row 10: a request replayed after the window is 401 with the time of the server', async () => {
    const bytes = ingest.bytes({ body: one() });
    ingest.world.nowMs = INGEST_NOW_MS + 301_000;
    const reply = await ingest.raw(bytes, (got) => got.includes('}'));
    expect(reply).toContain('HTTP/1.1 401');
    expect(reply).toContain('"code":"timestamp_out_of_tolerance"');
    expect(reply).toContain(`"serverTime":${String(Math.floor(ingest.world.nowMs / 1000))}`);
  });

  test('row 15: a client an hour off is told the time and gets 202 with it', async () => {
    for (const skewSeconds of [-3600, 3600]) {
      const wrong = String(INGEST_NOW_MS / 1000 + skewSeconds);
      const told = await ingest.post({ body: one(), timestamp: wrong });
      expect(told.status).toBe(401);
      const corrected = String((told.json as { serverTime: number }).serverTime);
      expect((await ingest.post({ body: one(), timestamp: corrected })).status).toBe(202);
    }
  });

  test('row 16: after a step of the server clock requests of the old time are 401 and of the new time 202', async () => {
    const before = String(INGEST_NOW_MS / 1000);
    ingest.world.nowMs = INGEST_NOW_MS + 86_400_000;
    expect((await ingest.post({ body: one(), timestamp: before })).status).toBe(401);
    expect((await ingest.post({ body: one() })).status).toBe(202);
  });

  test('headers of the signature stand at most once', async () => {
    const post = { body: gzipSync(one()), encoding: 'gzip', idempotencyKey: 'k' } as const;
    const bytes = ingest.bytes(post).toString('latin1');
    for (const name of ['X-Timestamp', 'X-Key-Id', 'X-Signature', 'Idempotency-Key', 'Content-Encoding']) {
      const line = new RegExp(`${name}: .*\r\n`).exec(bytes)?.[0] ?? '';
      const reply = await ingest.raw(bytes.replace(line, line + line), (got) => got.includes('}'));
      expect(reply).toContain('HTTP/1.1 400');
      expect(reply).toContain('"code":"duplicate_header"');
    }
  });

  test('a key marked debug is shown the text that the server built; no other is', async () => {
    const shown = await ingest.post({ body: one(), keyId: 'debug', secret: 'wrong' });
    expect((shown.json as { canonical: string }).canonical).toMatch(
      /^v1\nPOST\n\/v1\/events\ndebug\n1795176000|^v1\nPOST/,
    );
    const hidden = await ingest.post({ body: one(), secret: 'wrong' });
    expect(hidden.json).not.toHaveProperty('canonical');
  });

  test('a key without scope ingest is 403', async () => {
    expect(await ingest.post({ body: one(), keyId: 'reader' })).toMatchObject({
      status: 403,
      json: { code: 'scope_missing' },
    });
  });

  test('the plain schemes are for keys that list them, without compression, and sign no idempotency key', async () => {
    const body = one({ id: undefined });
    const timestamp = String(INGEST_NOW_MS / 1000);
    const secretOf = (keyId: string): string => `secret of ${keyId}, long enough to be one`;
    const stamped = (keyId: string): string =>
      createHmac('sha256', secretOf(keyId)).update(`${body}.${timestamp}`).digest('hex');
    const plain = await ingest.post({
      body,
      keyId: 'plain',
      headers: { 'X-Signature': stamped('plain'), 'Idempotency-Key': 'k' },
    });
    expect(plain.status).toBe(202);
    expect(plain.json.results[0].eventId).toMatch(/^c_/);
    expect((await ingest.post({ body, headers: { 'X-Signature': stamped('demo') } })).status).toBe(401);
    const alone = createHmac('sha256', secretOf('plain')).update(body).digest('hex');
    const bare = { 'X-Signature': alone, 'X-Timestamp': undefined };
    expect((await ingest.post({ body, keyId: 'plain', headers: bare })).status).toBe(202);
    const zipped = { 'X-Signature': stamped('plain'), 'Content-Encoding': 'gzip' };
    expect((await ingest.post({ body: gzipSync(body), keyId: 'plain', headers: zipped })).status).toBe(415);
  });

  test('a prefix that a proxy strips is put back before verifying', async () => {
    const behind = await startIngestServer({ deps: { signedPathPrefix: '/telemetry' } });
    const text = behind.bytes({ path: '/telemetry/v1/events', body: one() }).toString('latin1');
    const reply = await behind.raw(text.replace('POST /telemetry', 'POST '), (got) => got.includes('}'));
    expect(reply).toContain('HTTP/1.1 202');
    await behind.close();
  });
});

describe('player sessions', () => {
  test('a session sends events of its own player as a client', async () => {
    const session = ingest.session('p-1');
    expect((await ingest.post({ body: one(), ...session })).status).toBe(202);
    expect((await ingest.post({ body: one(), ...session })).status).toBe(202);
    expect(ingest.events()).toMatchObject([{ src: 'client', keyId: session.keyId }, { src: 'client' }]);
  });

  test("another player's event in its batch is refused, and not its neighbours", async () => {
    const events = [ingestEvent(), ingestEvent({ playerId: 'p-2' }), ingestEvent()];
    const session = ingest.session('p-1');
    const reply = await ingest.post({ path: '/v1/events/batch', body: JSON.stringify(events), ...session });
    expect(reply.json).toMatchObject({ accepted: 2, rejected: 1 });
    expect(reply.json.results[1]).toMatchObject({
      status: 'rejected',
      code: 'player_mismatch',
      pointer: '/playerId',
    });
  });

  test('sessions that ended, that only read, or of another game are turned away', async () => {
    const ended = ingest.session('p-1', { iatMs: INGEST_NOW_MS - 7_200_000 });
    expect((await ingest.post({ body: one(), ...ended })).status).toBe(401);
    const reads = ingest.session('p-1', { scopes: ['read'] });
    expect((await ingest.post({ body: one(), ...reads })).status).toBe(403);
    const elsewhere = ingest.session('p-1', { gameId: 'nowhere' });
    expect((await ingest.post({ body: one(), ...elsewhere })).status).toBe(401);
  });

  test('a revoked session is turned away: by its id, by its player, by issue date', async () => {
    const session = ingest.session('p-1');
    const revocation = {
      gameId: 'demo',
      sid: null,
      playerId: null,
      keyId: null,
      issuedBeforeMs: INGEST_NOW_MS,
    };
    expect((await ingest.post({ body: one(), ...session })).status).toBe(202);
    ingest.world.revocations = [{ ...revocation, sid: session.sid }];
    expect((await ingest.post({ body: one(), ...session })).status).toBe(401);
    ingest.world.revocations = [{ ...revocation, playerId: 'p-1' }];
    expect((await ingest.post({ body: one(), ...session })).status).toBe(401);
    ingest.world.revocations = [{ ...revocation, playerId: 'p-1', issuedBeforeMs: INGEST_NOW_MS - 60_000 }];
    expect((await ingest.post({ body: one(), ...session })).status).toBe(202);
    ingest.world.revocations = [{ ...revocation, keyId: 'demo' }];
    expect((await ingest.post({ body: one(), ...session })).status).toBe(401);
  });

  test('a gateway that could not refresh its keys for a minute refuses sessions with 503, and takes signing keys', async () => {
    ingest.world.ringAgeMs = 60_001;
    const reply = await ingest.post({ body: one(), ...ingest.session('p-1') });
    expect(reply).toMatchObject({ status: 503, json: { code: 'sessions_unavailable', retryable: true } });
    expect(reply.headers['retry-after']).toMatch(/^[1-9]/);
    expect((await ingest.post({ body: one() })).status).toBe(202);
  });

  test('a game with more revoked sessions than are kept is without sessions, and no other game', async () => {
    ingest.world.overfullGames.add('other');
    const mine = ingest.session('p-1');
    const theirs = ingest.session('p-1', { gameId: 'other' });
    expect((await ingest.post({ body: one(), ...mine })).status).toBe(202);
    expect(await ingest.post({ body: one(), ...theirs })).toMatchObject({
      status: 503,
      json: { code: 'sessions_unavailable', retryable: true },
    });
  });
});
