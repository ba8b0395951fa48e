import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import type { RefusalSink, ToldRefusal } from '../refusals/port.js';
import { RefusalRecorder } from '../refusals/recorder.js';
import {
  INGEST_NOW_MS,
  ingestEvent,
  startIngestServer,
  type IngestServer,
} from '../testkit/ingest-server.js';
import { quietLogger, quietMetrics } from '../testkit/quiet.js';

let told: ToldRefusal[];
let ingest: IngestServer;
const refusals: RefusalSink = { tell: (kind, describe) => void told.push({ ...kind, ...describe() }) };

beforeEach(async () => {
  told = [];
  ingest = await startIngestServer({ deps: { refusals } });
});
afterEach(() => ingest.close());

const batch = (events: readonly unknown[], context?: object): string => JSON.stringify({ context, events });
/** One request, and no other in the time of a test. */
const ONCE = { rate: 0.0001, burst: 1 };
const KEY_ENDED = expect.stringContaining('The signature is right');

describe('refused events', () => {
  test('are told with their sender, build, place and beginning; accepted ones and duplicates are not', async () => {
    const event = ingestEvent();
    const wrong = ingestEvent({ id: 'e-wrong', payload: { deltaXp: '7', activity: 'quest', token: 'hush' } });
    const conflict = { ...event, payload: { deltaXp: 1, activity: 'other' } };
    const body = batch([event, event, wrong, conflict, 7], { build: '1.4.2', platform: 'ios' });
    expect((await ingest.post({ path: '/v1/events/batch', body })).json).toMatchObject({
      accepted: 1,
      rejected: 3,
    });
    const shared = {
      gameId: 'demo',
      isVerified: true,
      build: '1.4.2',
      platform: 'ios',
      atMs: INGEST_NOW_MS,
      keyId: 'demo',
      src: 'server',
    };
    const ofEvent = { type: 'progression', tsMs: INGEST_NOW_MS, playerId: 'p-1' };
    expect(told).toEqual([
      {
        ...{ ...shared, ...ofEvent, code: 'invalid_number', eventId: 'e-wrong' },
        pointer: '/payload/deltaXp',
        detail: expect.any(String),
        snippet: JSON.stringify({ ...wrong, payload: { deltaXp: '7', activity: 'quest', token: '***' } }),
      },
      {
        ...{
          ...shared,
          ...ofEvent,
          code: 'event_id_conflict',
          eventId: event['id'],
          pointer: '/id',
          detail: null,
        },
        snippet: JSON.stringify(conflict),
      },
      {
        ...{ ...shared, code: 'invalid_event', eventId: null, type: null, tsMs: null, playerId: null },
        ...{ pointer: null, detail: null, snippet: '7' },
      },
    ]);
  });

  test.each([
    ['an array', 'application/json', (one: string, two: string) => `[${one}, ${two}]`],
    ['NDJSON', 'application/x-ndjson', (one: string, two: string) => `${one}\n\n${two}`],
  ])('that are no sound JSON show their own text, from %s', async (_form, type, bodyOf) => {
    const body = bodyOf(JSON.stringify(ingestEvent()), '{"id":"x","a":1,"a":2,"secret":"hush"}');
    await ingest.post({ path: '/v1/events/batch', body, headers: { 'Content-Type': type } });
    expect(told).toMatchObject([
      {
        code: 'duplicate_key',
        pointer: '/a',
        snippet: '{"id":"x","a":1,"a":2,"secret":"***"}',
        playerId: null,
      },
    ]);
  });

  test('of a session are its own player’s, whomever they name', async () => {
    const { keyId, secret } = ingest.session('p-1');
    await ingest.post({ keyId, secret, body: JSON.stringify(ingestEvent({ playerId: 'p-2' })) });
    expect(told).toMatchObject([
      { code: 'player_mismatch', playerId: 'p-1', keyId, src: 'client', isVerified: true },
    ]);
  });

  test('of a request that is repeated under its Idempotency-Key are told once', async () => {
    const post = { body: JSON.stringify(ingestEvent({ ts: 'never' })), idempotencyKey: 'k-1' };
    for (let n = 0; n < 3; n += 1) expect((await ingest.post(post)).status).toBe(400);
    expect(told).toMatchObject([{ code: 'invalid_ts', tsMs: null, type: 'progression' }]);
  });
});

describe('refused requests', () => {
  test('of a known sender are told as one, with the beginning of the body', async () => {
    await ingest.post({ body: '{"token":"hush", nonsense' });
    await ingest.post({ path: '/v1/events/batch', body: gzipSync('{"events":5}'), encoding: 'gzip' });
    await ingest.post({ path: '/v1/events/batch', body: batch([ingestEvent()], { build: 5 }) });
    expect(told).toMatchObject([
      {
        code: 'malformed_json',
        isVerified: true,
        keyId: 'demo',
        snippet: '{"token":"***", nonsense',
        playerId: null,
      },
      { code: 'not_a_batch', pointer: null, snippet: null },
      { code: 'invalid_field', pointer: '/context/build', build: null },
    ]);
  });

  test('without a right signature tell the key that they name and nothing else', async () => {
    const body = JSON.stringify(ingestEvent({ playerId: 'p-victim' }));
    const { keyId } = ingest.session('p-1');
    await ingest.post({ body, secret: 'wrong' });
    await ingest.post({ body, timestamp: '1795000000' });
    await ingest.post({ body, keyId, secret: 'wrong' });
    await ingest.post({ body, headers: { 'X-Signature': undefined } });
    await ingest.post({ body, headers: { 'Content-Type': 'text/plain' } });
    const nothing = {
      ...{ isVerified: false, playerId: null, src: null, eventId: null, type: null, tsMs: null, build: null },
      ...{ platform: null, pointer: null, detail: null, snippet: null, gameId: 'demo', atMs: INGEST_NOW_MS },
    };
    expect(told).toEqual([
      { ...nothing, code: 'invalid_signature', keyId: 'demo' },
      { ...nothing, code: 'timestamp_out_of_tolerance', keyId: 'demo' },
      { ...nothing, code: 'invalid_signature', keyId },
      { ...nothing, code: 'missing_signature', keyId: 'demo' },
      { ...nothing, code: 'unsupported_media_type', keyId: 'demo' },
    ]);
  });

  test('of keys and sessions that nobody has are nobody’s', async () => {
    const body = JSON.stringify(ingestEvent());
    const { keyId, secret } = ingest.session('p-1', { gameId: 'nowhere' });
    for (const post of [{ keyId: 'unknown' }, { keyId, secret }, { keyId: 'ps1.not.a.session' }])
      expect((await ingest.post({ body, ...post })).status).toBe(401);
    expect((await ingest.post({ body, headers: { 'X-Key-Id': undefined } })).status).toBe(401);
    expect(told).toEqual([]);
  });

  test('tell an operator what they do not tell the sender: that it was the key, not the signature', async () => {
    const body = JSON.stringify(ingestEvent());
    const old = ingest.session('p-1', { iatMs: INGEST_NOW_MS - 7_200_000 });
    const replies = [
      await ingest.post({ body, keyId: 'expired' }),
      await ingest.post({ body, keyId: 'revoked' }),
      await ingest.post({ body, ...old }),
      await ingest.post({ body, keyId: 'revoked', secret: 'wrong' }),
    ];
    expect(new Set(replies.map(({ json }) => JSON.stringify({ ...json, requestId: '' }))).size).toBe(1);
    expect(told).toMatchObject([
      { keyId: 'expired', isVerified: false, detail: KEY_ENDED, playerId: null },
      { keyId: 'revoked', isVerified: false, detail: KEY_ENDED },
      { keyId: old.keyId, isVerified: false, detail: KEY_ENDED, playerId: 'p-1', src: 'client' },
      { keyId: 'revoked', isVerified: false, detail: null },
    ]);
    await ingest.post({ body, keyId: 'reader' });
    expect(told.at(-1)).toMatchObject({
      code: 'scope_missing',
      keyId: 'reader',
      isVerified: true,
      detail: null,
    });
  });

  test('for a limit of the key are told, and for a fault of ours they are not', async () => {
    const limited = await startIngestServer({
      deps: { refusals },
      limits: { keyRate: ONCE },
      publish: () => Promise.reject(new Error('a bug')),
    });
    const body = JSON.stringify(ingestEvent());
    expect((await limited.post({ body })).status).toBe(500);
    expect((await limited.post({ body })).status).toBe(429);
    await limited.close();
    expect(told).toMatchObject([{ code: 'rate_limited', isVerified: true, keyId: 'demo' }]);
  });

  test('of an address beyond its budget are not looked into', async () => {
    const limited = await startIngestServer({
      deps: { refusals },
      limits: { addressRate: ONCE },
    });
    const body = JSON.stringify(ingestEvent());
    expect([(await limited.post({ body })).status, (await limited.post({ body })).status]).toEqual([
      202, 429,
    ]);
    await limited.close();
    expect(told).toEqual([]);
  });
});

test('a database that hangs and a full buffer cost no answer anything', async () => {
  const hangs = new Promise<never>(() => undefined);
  let nowMs = 0;
  const recorder = new RefusalRecorder({
    store: { write: () => hangs, trim: () => hangs, forgetOld: () => hangs },
    clock: { monotonicMs: () => nowMs },
    metrics: quietMetrics,
    logger: quietLogger,
  });
  const stuck = await startIngestServer({ deps: { refusals: recorder } });
  const body = batch(Array.from({ length: 500 }, () => ({ ...ingestEvent(), ts: 'never' })));
  await stuck.post({ path: '/v1/events/batch', body });
  void recorder.flush();
  for (nowMs = 1_000; nowMs < 13_000; nowMs += 1_000)
    expect((await stuck.post({ path: '/v1/events/batch', body })).json).toMatchObject({ rejected: 500 });
  await stuck.close();
});
