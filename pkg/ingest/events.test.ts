import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  INGEST_NOW_MS,
  ingestEvent,
  startIngestServer,
  type IngestReply,
  type IngestServer,
} from '../testkit/ingest-server.js';

const DAY_MS = 86_400_000;
let ingest: IngestServer;
beforeAll(async () => {
  ingest = await startIngestServer();
});
afterAll(() => ingest.close());
beforeEach(() => {
  ingest.published.length = 0;
});

const one = (over = {}, post = {}): Promise<IngestReply> =>
  ingest.post({ body: JSON.stringify(ingestEvent(over)), ...post });
const batch = (events: readonly unknown[], post = {}): Promise<IngestReply> =>
  ingest.post({ path: '/v1/events/batch', body: JSON.stringify(events), ...post });
const codes = (reply: IngestReply): unknown[] =>
  (reply.json as { results: { status: string; code?: string }[] }).results.map(
    ({ status, code }) => code ?? status,
  );

/** A UUIDv7 of this instant. */
function uuidAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-00000000000${String(Math.floor(Math.random() * 10))}`;
}

describe('the same event again', () => {
  test('row 14: other content under a known id is refused, whoever signs and however it is packed; the first stays', async () => {
    const event = ingestEvent();
    expect((await batch([event])).json).toMatchObject({ accepted: 1 });
    const changed = { ...event, payload: { deltaXp: 999, activity: 'quest' } };
    expect(await one(changed)).toMatchObject({
      status: 409,
      json: { code: 'event_id_conflict', retryable: false },
    });
    expect(codes(await batch([changed, ingestEvent()], { keyId: 'demo-2' }))).toEqual([
      'event_id_conflict',
      'accepted',
    ]);
    expect(ingest.published).toHaveLength(2);
  });

  test('a retry is a duplicate and is not published again, in any order of its keys', async () => {
    const event = ingestEvent();
    await one(event);
    const { payload, ...rest } = event;
    const turned = { payload: { activity: 'quest', deltaXp: 10 }, ...rest };
    expect(payload).toEqual(turned.payload);
    expect((await one(turned)).json).toMatchObject({ accepted: 0, duplicates: 1 });
    expect(codes(await batch([turned], { keyId: 'demo-2' }))).toEqual(['duplicate']);
    expect(ingest.published).toHaveLength(1);
  });

  test('within one batch the first counts, an equal one is a duplicate and a differing one a conflict', async () => {
    const event = ingestEvent();
    const reply = await batch([event, event, { ...event, payload: { deltaXp: 1, activity: 'x' } }]);
    expect(codes(reply)).toEqual(['accepted', 'duplicate', 'event_id_conflict']);
    expect(reply.json).toMatchObject({ accepted: 1, duplicates: 1, rejected: 1 });
  });

  test('the same id of another player or of another game is another event', async () => {
    const event = ingestEvent();
    await one(event);
    expect((await one({ ...event, playerId: 'p-other' })).json).toMatchObject({ accepted: 1 });
    expect((await one(event, { keyId: 'other' })).json).toMatchObject({ accepted: 1 });
  });

  test('a single event without an id takes the signed Idempotency-Key, else one of its content', async () => {
    const byKey = await one({ id: undefined }, { idempotencyKey: '5f1c2d3e-0001' });
    expect(byKey.json.results[0].eventId).toBe('5f1c2d3e-0001');
    const event = { id: undefined, playerId: 'p-unnamed' };
    const first = await one(event);
    const second = await one(event, { keyId: 'demo-2' });
    expect(first.json.results[0].eventId).toMatch(/^c_[A-Za-z0-9_-]{43}$/);
    expect(second.json).toMatchObject({
      duplicates: 1,
      results: [{ eventId: first.json.results[0].eventId }],
    });
  });
});

describe('what an event must be', () => {
  test('row 26: an unknown type is stored as unmapped, or refused where the game says so; unknown payload keys are kept', async () => {
    expect((await one({ type: 'new.thing_2', payload: { any: [1] } })).status).toBe(202);
    expect(
      (await one({ payload: { deltaXp: 1, activity: 'x', extra: { a: 1 } }, schemaVersion: 7 })).status,
    ).toBe(202);
    expect(ingest.events()).toMatchObject([
      { type: 'new.thing_2', mapped: false, definitionVersion: 3 },
      { mapped: true, payload: { extra: { a: 1 } }, schemaVersion: 7 },
    ]);
    const strict = await startIngestServer({ unknownTypes: 'refuse' });
    const reply = await strict.post({ body: JSON.stringify(ingestEvent({ type: 'new.thing' })) });
    expect(reply).toMatchObject({ status: 400, json: { code: 'unknown_type', pointer: '/type' } });
    await strict.close();
  });

  test('row 27: one bad event among 500 costs none of its neighbours', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 499 }), async (at) => {
        const events = Array.from({ length: 500 }, (_, i) =>
          ingestEvent(i === at ? { ts: 'yesterday' } : {}),
        );
        const reply = await batch(events, { keyId: 'demo-2' });
        expect(reply).toMatchObject({ status: 202, json: { accepted: 499, duplicates: 0, rejected: 1 } });
        const { results } = reply.json as { results: { index: number }[] };
        expect(results.map(({ index }) => index)).toEqual(events.map((_, i) => i));
        expect(results[at]).toEqual({
          index: at,
          status: 'rejected',
          eventId: events[at]?.['id'],
          code: 'invalid_ts',
          pointer: '/ts',
          retryable: false,
        });
      }),
      { numRuns: 5 },
    );
  });

  test('a batch of which all events are rejected is still 202: the request was right', async () => {
    expect(await batch([{}, 7, null])).toMatchObject({ status: 202, json: { accepted: 0, rejected: 3 } });
  });

  test('every wrong field is named with its place', async () => {
    const cases: [Record<string, unknown>, string, string | undefined][] = [
      [{ id: 'a b' }, 'invalid_id', '/id'],
      [{ id: 7 }, 'invalid_id', '/id'],
      [{ id: 'x'.repeat(65) }, 'invalid_id', '/id'],
      [{ id: undefined }, 'id_required', '/id'],
      [{ type: undefined }, 'missing_field', '/type'],
      [{ type: 'Progression' }, 'invalid_type', '/type'],
      [{ playerId: undefined }, 'missing_field', '/playerId'],
      [{ ts: undefined }, 'missing_field', '/ts'],
      [{ ts: '2026-02-30T00:00:00Z' }, 'invalid_ts', '/ts'],
      [{ ts: '2026-11-20T23:59:60Z' }, 'invalid_ts', '/ts'],
      [{ payload: undefined }, 'missing_field', '/payload'],
      [{ payload: [] }, 'invalid_payload', '/payload'],
      [{ payload: { activity: 'x' } }, 'invalid_payload', '/payload/deltaXp'],
      [{ payload: { deltaXp: -1, activity: 'x' } }, 'invalid_payload', '/payload/deltaXp'],
      [{ schemaVersion: 0 }, 'invalid_schema_version', '/schemaVersion'],
      [{ schemaVersion: 1.5 }, 'invalid_schema_version', '/schemaVersion'],
      [{ isAdmin: true }, 'unknown_field', '/isAdmin'],
      [{ 'a/b~': 1 }, 'unknown_field', '/a~1b~0'],
    ];
    const reply = await batch(cases.map(([over]) => ingestEvent(over)));
    const { results } = reply.json as { results: { code: string; pointer?: string }[] };
    expect(results.map(({ code, pointer }) => [code, pointer])).toEqual(
      cases.map(([, code, at]) => [code, at]),
    );
  });

  test('a payload that breaks its schema is told what the place wants, alone and in a batch, and never what was sent', async () => {
    const broken = [
      { activity: 'x' },
      { deltaXp: -1, activity: 'x' },
      { deltaXp: 'secret-7', activity: 'x' },
    ];
    const reply = await batch(broken.map((payload) => ingestEvent({ payload })));
    const { results } = reply.json as { results: { detail?: string }[] };
    expect(results.map(({ detail }) => detail)).toEqual(['is required', 'must be >= 0', 'must be integer']);
    expect(JSON.stringify(results)).not.toContain('secret-7');
  });

  test('types for servers only are refused from client keys and sessions', async () => {
    const gift = { type: 'gift', payload: { amount: 1 } };
    expect((await one(gift)).status).toBe(202);
    expect(await one(gift, { keyId: 'client' })).toMatchObject({
      status: 400,
      json: { code: 'type_not_allowed' },
    });
    expect(await one(gift, ingest.session('p-1'))).toMatchObject({
      status: 400,
      json: { code: 'type_not_allowed' },
    });
  });
});

describe('when an event may be', () => {
  const at = (ms: number): Record<string, unknown> => ({ ts: INGEST_NOW_MS + ms });

  test('row 30: up to five minutes ahead it is kept as sent and flagged, beyond it is refused and may be sent again', async () => {
    expect((await one({ ...at(299_000), id: 'ahead' })).status).toBe(202);
    expect(ingest.events()[0]).toMatchObject({ tsMs: INGEST_NOW_MS + 299_000, context: { future: true } });
    const refused = await one(at(300_001));
    expect(refused).toMatchObject({
      status: 400,
      json: { code: 'event_in_future', pointer: '/ts', retryable: true },
    });
  });

  test('what is late is flagged, what is beyond the window or the floor is refused', async () => {
    await one({ ...at(-2 * 3_600_000), id: 'late' });
    expect(ingest.events()[0]).toMatchObject({ context: { late: true } });
    expect((await one(at(-30 * DAY_MS))).status).toBe(202);
    expect(await one(at(-30 * DAY_MS - 1))).toMatchObject({ json: { code: 'event_too_old' } });
    expect(await one(at(-400 * DAY_MS))).toMatchObject({ json: { code: 'event_too_old' } });
  });

  test('a key with scope replay reaches back to the floor and a day ahead, no further', async () => {
    const replay = { keyId: 'replayer' };
    expect((await one({ ts: '2026-01-01T00:00:00Z', id: 'old' }, replay)).status).toBe(202);
    expect(ingest.events()[0]).toMatchObject({ dedupeDay: '2026-01-01', context: { replay: true } });
    expect(await one({ ts: '2025-12-31T23:59:59.999Z' }, replay)).toMatchObject({
      json: { code: 'event_too_old' },
    });
    expect((await one(at(DAY_MS - 1), replay)).status).toBe(202);
    expect(await one(at(DAY_MS + 1), replay)).toMatchObject({ json: { code: 'event_in_future' } });
  });

  test('the day inside a UUIDv7 is held to the same window as the time', async () => {
    expect((await one({ id: uuidAt(INGEST_NOW_MS - DAY_MS) })).status).toBe(202);
    expect(ingest.events()[0]).toMatchObject({ dedupeDay: '2026-11-19' });
    const old = { id: uuidAt(INGEST_NOW_MS - 32 * DAY_MS) };
    expect(await one(old)).toMatchObject({ json: { code: 'event_too_old', pointer: '/id' } });
    expect((await one(old, { keyId: 'replayer' })).status).toBe(202);
    const ahead = { id: uuidAt(INGEST_NOW_MS + 2 * DAY_MS) };
    expect(await one(ahead, { keyId: 'replayer' })).toMatchObject({
      json: { code: 'event_in_future', pointer: '/id' },
    });
  });

  test('seconds, milliseconds and RFC 3339 of one instant are one event', async () => {
    const id = 'one-instant';
    await one({ id, ts: INGEST_NOW_MS / 1000 + 0.25 });
    expect((await one({ id, ts: INGEST_NOW_MS + 250 })).json).toMatchObject({ duplicates: 1 });
    expect((await one({ id, ts: '2026-11-20T14:00:00.250+02:00' })).json).toMatchObject({ duplicates: 1 });
  });
});

describe('the envelope of a batch', () => {
  const envelope = (over: object): Promise<IngestReply> =>
    ingest.post({ path: '/v1/events/batch', body: JSON.stringify({ events: [ingestEvent()], ...over }) });

  test('its context and sentAt travel with each event, and a traceparent too', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const context = { build: '1.4.2', platform: 'ios', sessionId: 's-1' };
    const body = JSON.stringify({ sentAt: INGEST_NOW_MS, context, events: [ingestEvent()] });
    await ingest.post({ path: '/v1/events/batch', body, headers: { traceparent } });
    expect(ingest.events()[0]?.context).toEqual({ ...context, sentAtMs: INGEST_NOW_MS, traceparent });
  });

  test('unknown keys and wrong values in it refuse the request', async () => {
    expect(await envelope({ game: 'x' })).toMatchObject({
      status: 400,
      json: { code: 'unknown_field', pointer: '/game' },
    });
    expect(await envelope({ context: { os: 'x' } })).toMatchObject({
      json: { code: 'unknown_field', pointer: '/context/os' },
    });
    expect(await envelope({ context: { build: 7 } })).toMatchObject({ json: { code: 'invalid_field' } });
    expect(await envelope({ sentAt: 'soon' })).toMatchObject({
      json: { code: 'invalid_ts', pointer: '/sentAt' },
    });
    expect(await envelope({ events: {} })).toMatchObject({ status: 400, json: { code: 'not_a_batch' } });
  });
});
