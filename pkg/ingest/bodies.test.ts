import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import {
  ingestEvent,
  startIngestServer,
  type IngestReply,
  type IngestServer,
} from '../testkit/ingest-server.js';

let ingest: IngestServer;
beforeAll(async () => {
  ingest = await startIngestServer();
});
afterAll(() => ingest.close());
beforeEach(() => {
  ingest.published.length = 0;
});

const one = (over = {}): string => JSON.stringify(ingestEvent(over));
const batch = (body: string | Buffer, over = {}): Promise<IngestReply> =>
  ingest.post({ path: '/v1/events/batch', body, ...over });
const refused = (status: number, code: string): object => ({ status, json: { code, status } });
const isWhole = (text: string): boolean => text.includes('}');

describe('bodies', () => {
  test('row 1: fifty broken bodies are 400 malformed_json and nothing is published', async () => {
    const whole = one();
    const broken = Array.from({ length: 44 }, (_, i) => whole.slice(0, i + 1));
    broken.push('{]', '{"a" 1}', "{'a':1}", '[1,]', 'nul', '{"a":01}');
    for (const body of broken) {
      const reply = await ingest.post({ body });
      expect(reply).toMatchObject(refused(400, 'malformed_json'));
      expect(reply.headers['content-type']).toBe('application/problem+json');
    }
    expect(ingest.published).toEqual([]);
  });

  test('row 2: an empty body is 400 empty_body, by its length and chunked', async () => {
    expect(await ingest.post({ body: '' })).toMatchObject(refused(400, 'empty_body'));
    const bytes = ingest.bytes({
      body: '',
      headers: { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' },
    });
    const chunked = await ingest.raw(Buffer.concat([bytes, Buffer.from('0\r\n\r\n')]), isWhole);
    expect(chunked).toContain('HTTP/1.1 400');
    expect(chunked).toContain('"code":"empty_body"');
    expect(await batch('  \n')).toMatchObject(refused(400, 'empty_body'));
    expect(await batch('[]')).toMatchObject(refused(400, 'empty_batch'));
  });

  test('row 3: only application/json and, for a batch, application/x-ndjson are taken, in UTF-8', async () => {
    for (const type of [
      undefined,
      'text/json',
      'text/plain',
      'application/json; charset=latin1',
      'application/xml',
    ]) {
      const reply = await ingest.post({ body: one(), headers: { 'Content-Type': type } });
      expect(reply).toMatchObject(refused(415, 'unsupported_media_type'));
    }
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'APPLICATION/JSON;charset="UTF-8"',
    ]) {
      expect((await ingest.post({ body: one(), headers: { 'Content-Type': type } })).status).toBe(202);
    }
    const lines = { 'Content-Type': 'application/x-ndjson' };
    expect((await batch(`${one()}\n\n${one()}\n`, { headers: lines })).json).toMatchObject({ accepted: 2 });
    expect(await batch(`[${one()}]`, { headers: lines })).toMatchObject(refused(400, 'malformed_json'));
    expect(await ingest.post({ body: one(), headers: lines })).toMatchObject(
      refused(415, 'unsupported_media_type'),
    );
  });

  test('row 4: bytes that are not UTF-8 and a byte order mark are 400 invalid_utf8', async () => {
    for (const body of [Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), Buffer.from(`\ufeff${one()}`)]) {
      expect(await ingest.post({ body })).toMatchObject(refused(400, 'invalid_utf8'));
    }
    expect(ingest.published).toEqual([]);
  });

  test('row 17: a body declared too large is 413 with the limits before it is read, and the connection ends', async () => {
    const bytes = ingest.bytes({ body: one(), headers: { 'Content-Length': '10485760' } });
    const reply = await ingest.raw(bytes);
    expect(reply).toContain('HTTP/1.1 413');
    expect(reply).toContain('Connection: close');
    expect(reply).toContain('"bodyBytes":1048576');
  });

  test('row 17: an endless chunked body is 413 at its limit, keeps nothing, and the connection ends', async () => {
    const head = ingest.bytes({
      body: '',
      headers: { 'Content-Length': undefined, 'Transfer-Encoding': 'chunked' },
    });
    const chunk = Buffer.from(`10000\r\n${'x'.repeat(0x10000)}\r\n`);
    const reply = await ingest.raw(Buffer.concat([head, ...Array<Buffer>(64).fill(chunk)]));
    expect(reply).toContain('HTTP/1.1 413');
    expect(reply).toContain('Connection: close');
  });

  test('row 18: a gzip bomb is 413; other and stacked codings are 415', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(220_000);
    const before = process.memoryUsage().rss;
    expect(await ingest.post({ body: bomb, encoding: 'gzip' })).toMatchObject(refused(413, 'body_too_large'));
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 1024 * 1024);
    for (const coding of ['br', 'zstd', 'deflate', 'gzip, gzip', 'gzip,br', 'x-gzip', '']) {
      const reply = await ingest.post({ body: one(), headers: { 'Content-Encoding': coding } });
      expect(reply).toMatchObject(refused(415, 'unsupported_encoding'));
    }
  });

  test('row 19: gzip that is cut, corrupt or none is 400 bad_encoding; whole it is taken', async () => {
    const zipped = gzipSync(one());
    expect((await ingest.post({ body: zipped, encoding: 'gzip' })).status).toBe(202);
    const corrupt = Buffer.from(zipped);
    corrupt[zipped.length >> 1] = (corrupt[zipped.length >> 1] ?? 0) ^ 0xff;
    for (const body of [zipped.subarray(0, -8), corrupt, Buffer.from('{}')]) {
      expect(await ingest.post({ body, encoding: 'gzip' })).toMatchObject(refused(400, 'bad_encoding'));
    }
  });

  test('row 20: what is nested too deeply is 400 too_deep, however deep', async () => {
    for (const depth of [17, 10_000, 500_000]) {
      const body = `{"payload":${'['.repeat(depth)}${']'.repeat(depth)}}`;
      expect(await ingest.post({ body })).toMatchObject(refused(400, 'too_deep'));
    }
  });

  test('row 21: numbers that cannot be kept exactly are 400 invalid_number with their place', async () => {
    for (const number of ['1e400', '-0', '9007199254740993', '"12"']) {
      const body = one().replace('"deltaXp":10', `"deltaXp":${number}`);
      const reply = await ingest.post({ body });
      expect(reply).toMatchObject(refused(400, 'invalid_number'));
      expect(reply.json.pointer).toBe('/payload/deltaXp');
    }
    expect(await ingest.post({ body: one().replace('10', 'NaN') })).toMatchObject(
      refused(400, 'malformed_json'),
    );
  });

  test('row 22: a key that stands twice is 400 duplicate_key', async () => {
    const body = one().replace('"deltaXp":10', '"deltaXp":10,"deltaXp":20');
    expect(await ingest.post({ body })).toMatchObject(refused(400, 'duplicate_key'));
  });

  test('row 23: __proto__, constructor and prototype are 400 forbidden_key at any place', async () => {
    for (const name of ['__proto__', 'constructor', 'prototype', '__pr\\u006fto__']) {
      for (const body of [
        `{"${name}":{"x":1}}`,
        one().replace('"activity"', `"a":{"${name}":{"x":1}},"activity"`),
      ]) {
        expect(await ingest.post({ body })).toMatchObject(refused(400, 'forbidden_key'));
      }
    }
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('row 24: player ids are kept exactly up to 128 bytes, and both normal forms are two players', async () => {
    const kept = [
      'Zoë',
      'Zoe\u0308',
      '\u202eevil',
      '👩‍👩‍👧‍👦',
      'a b',
      '🎮'.repeat(32),
      'x'.repeat(128),
      '=HYPERLINK("x")',
    ];
    for (const playerId of kept) expect((await ingest.post({ body: one({ playerId }) })).status).toBe(202);
    expect(ingest.events().map(({ playerId }) => playerId)).toEqual(kept);
    expect(new Set(ingest.events().map(({ identity }) => identity)).size).toBe(kept.length);
    for (const playerId of ['🎮'.repeat(32) + 'x', 'x'.repeat(129), '', 7, null]) {
      expect(await ingest.post({ body: one({ playerId }) })).toMatchObject(refused(400, 'invalid_player_id'));
    }
  });

  test('row 25: NUL, half a surrogate pair and U+FFFF are 400 invalid_character', async () => {
    for (const text of ['\\u0000', '\\ud800', '\\udc00x', '\uffff', '\\uFFFE']) {
      const body = one().replace('quest', `que${text}st`);
      expect(await ingest.post({ body })).toMatchObject(refused(400, 'invalid_character'));
    }
    expect(ingest.published).toEqual([]);
  });

  test('row 28: one event, one key or one byte too many is refused with the limits in the body', async () => {
    const many = Array.from({ length: 501 }, () => ingestEvent());
    const tooMany = await batch(JSON.stringify(many));
    expect(tooMany).toMatchObject(refused(413, 'too_many_events'));
    expect(tooMany.json.limits).toMatchObject({ batchEvents: 500, eventBytes: 65_536 });
    expect((await batch(JSON.stringify(many.slice(1)))).json).toMatchObject({ accepted: 500 });

    const keys = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`k${String(i)}`, i]));
    const tooManyKeys = await ingest.post({ body: one({ payload: keys }) });
    expect(tooManyKeys).toMatchObject(refused(400, 'too_many_keys'));
    expect(tooManyKeys.json.limits).toBeDefined();

    const texts = Array.from({ length: 9 }, () => 'x'.repeat(8_000));
    const tooLarge = await ingest.post({ body: one({ type: 'note', payload: { texts } }) });
    expect(tooLarge).toMatchObject(refused(400, 'event_too_large'));
    expect(tooLarge.json.limits).toMatchObject({ eventBytes: 65_536 });
  });

  test('no problem repeats what was sent, and each carries a request id', async () => {
    const reply = await ingest.post({ body: one({ type: 'Sent-By-Me' }) });
    expect(reply.text).not.toContain('Sent-By-Me');
    expect(reply.json.requestId).toBe(reply.headers['x-request-id']);
    const named = await ingest.post({ body: one(), headers: { 'X-Request-Id': 'trace-7' } });
    expect(named.headers['x-request-id']).toBe('trace-7');
    const odd = await ingest.post({ body: one(), headers: { 'X-Request-Id': 'a b<c>' } });
    expect(odd.headers['x-request-id']).toMatch(/^[A-Za-z0-9_-]{1,64}$/);
  });

  test('what is not a post of events is left to others, untouched', async () => {
    for (const target of [
      'GET /v1/events',
      'POST /v1/event',
      'POST /v1/events/',
      'OPTIONS /v1/events',
      'GET /',
    ]) {
      const reply = await ingest.raw(`${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
      expect(reply).toContain('not for the listener');
    }
  });
});
