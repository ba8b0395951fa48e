import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import type { IdempotencyStore } from '../admission/port.js';
import { OutageError } from '../kernel/errors.js';
import {
  ingestEvent,
  startIngestServer,
  type IngestReply,
  type IngestServer,
} from '../testkit/ingest-server.js';

/** A gate that the test opens: what a publish waits for. */
function gate(): { wait: () => Promise<void>; open: () => void; entered: Promise<void> } {
  let open = (): void => undefined;
  let enter = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  const entered = new Promise<void>((resolve) => (enter = resolve));
  return {
    wait: () => {
      enter();
      return opened;
    },
    open: () => open(),
    entered,
  };
}

let publish: () => Promise<void>;
let ingest: IngestServer;
beforeEach(async () => {
  publish = () => Promise.resolve();
  ingest = await startIngestServer({ publish: () => publish() });
});
afterEach(() => ingest.close());

const post = (event: object, idempotencyKey: string, more = {}): Promise<IngestReply> =>
  ingest.post({ body: JSON.stringify(event), idempotencyKey, ...more });
const replayed = (reply: IngestReply): unknown => reply.headers['idempotent-replayed'];

describe('idempotency keys', () => {
  test('row 9: a request sent a hundred times in parallel has one effect and one answer', async () => {
    const events = [ingestEvent(), ingestEvent({ ts: 'never' }), ingestEvent()];
    const body = JSON.stringify(events);
    const batch = { path: '/v1/events/batch', body, idempotencyKey: 'k-1' };
    const first = await ingest.post(batch);
    expect(replayed(first)).toBeUndefined();
    const again = await Promise.all(Array.from({ length: 100 }, () => ingest.post(batch)));
    for (const reply of again) {
      expect(reply.status).toBe(202);
      expect(reply.text).toBe(first.text);
      expect(replayed(reply)).toBe('true');
    }
    expect(ingest.published).toHaveLength(2);
  });

  test('row 9: without a first answer in hand, of a hundred at once one is done and the others wait their turn', async () => {
    const event = ingestEvent();
    const all = await Promise.all(Array.from({ length: 100 }, () => post(event, 'k-2')));
    for (const { status } of all) expect([202, 409]).toContain(status);
    expect(ingest.published).toHaveLength(1);
  });

  test('row 9: a retry that is signed anew, later and by a rotated key, gets the first answer', async () => {
    const event = ingestEvent();
    const first = await post(event, 'k-3');
    ingest.world.nowMs += 60_000;
    const retry = await post(event, 'k-3', { keyId: 'demo-2' });
    expect(retry.text).toBe(first.text);
    expect(replayed(retry)).toBe('true');
  });

  test('row 11: another body under the same key is 409 idempotency_key_reused, in both orders', async () => {
    const [a, b] = [ingestEvent(), ingestEvent()];
    await post(a, 'k-4');
    const reused = { status: 409, json: { code: 'idempotency_key_reused', retryable: false } };
    expect(await post(b, 'k-4')).toMatchObject(reused);
    await post(b, 'k-5');
    expect(await post(a, 'k-5')).toMatchObject(reused);
    const both = await Promise.all([post(ingestEvent(), 'k-6'), post(ingestEvent(), 'k-6')]);
    expect(both.map(({ status }) => status).sort()).toEqual([202, 409]);
  });

  test('row 11: the same bytes on another path or in another coding are another request', async () => {
    const body = JSON.stringify([ingestEvent()]);
    const path = '/v1/events/batch';
    await ingest.post({ path, body, idempotencyKey: 'k-7' });
    const zipped = await ingest.post({ path, body: gzipSync(body), encoding: 'gzip', idempotencyKey: 'k-7' });
    expect(zipped.json.code).toBe('idempotency_key_reused');
    const elsewhere = await ingest.post({ path: `${path}?a`, body, idempotencyKey: 'k-7' });
    expect(elsewhere.json.code).toBe('idempotency_key_reused');
  });

  test('row 12: a repeat while the first is published is 409 request_in_progress with Retry-After', async () => {
    const held = gate();
    publish = held.wait;
    const event = ingestEvent();
    const first = post(event, 'k-8');
    await held.entered;
    const repeat = await post(event, 'k-8');
    expect(repeat).toMatchObject({ status: 409, json: { code: 'request_in_progress', retryable: true } });
    expect(Number(repeat.headers['retry-after'])).toBeGreaterThan(0);
    held.open();
    expect((await first).status).toBe(202);
    expect(replayed(await post(event, 'k-8'))).toBe('true');
  });

  test('row 13: an empty, over-long or odd key is 400 with its format; none at all is allowed', async () => {
    const body = JSON.stringify(ingestEvent());
    expect((await ingest.post({ body })).status).toBe(202);
    for (const key of ['', '   ', 'x'.repeat(129), 'a b', 'a,b', 'ä', '"k"']) {
      const reply = await ingest.post({ body, headers: { 'Idempotency-Key': key } });
      expect(reply).toMatchObject({ status: 400, json: { code: 'invalid_idempotency_key' } });
      expect(reply.json.detail).toContain('1 to 128');
    }
    const alphabet = [...'ABCXYZabcxyz0189_.:-'];
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength: 128 }),
        async (key) => {
          const reply = await post(ingestEvent(), key.slice(0, 100) + String(Math.random()).slice(2, 20));
          expect(reply.status).toBe(202);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('a refusal that would be the same tomorrow is kept; one that would not is not', async () => {
    const wrong = ingestEvent({ ts: 'never' });
    await post(wrong, 'k-9');
    const kept = await post(wrong, 'k-9');
    expect(kept).toMatchObject({ status: 400, json: { code: 'invalid_ts' } });
    expect(kept.headers['content-type']).toBe('application/problem+json');
    expect(replayed(kept)).toBe('true');
    const early = ingestEvent({ ts: ingest.world.nowMs + 400_000 });
    expect((await post(early, 'k-10')).json.code).toBe('event_in_future');
    ingest.world.nowMs += 200_000;
    expect((await post(early, 'k-10')).status).toBe(202);
  });

  test('players do not meet in their keys', async () => {
    const [a, b] = [ingest.session('p-1'), ingest.session('p-2')];
    expect((await post(ingestEvent(), 'k-11', a)).status).toBe(202);
    expect((await post(ingestEvent({ playerId: 'p-2' }), 'k-11', b)).status).toBe(202);
  });

  test('row 39: without the store an event is taken all the same, only the answer is not repeated', async () => {
    const away: IdempotencyStore = {
      claim: () => Promise.resolve({ kind: 'unavailable' }),
      complete: () => Promise.reject(new Error('never called')),
      release: () => Promise.reject(new Error('never called')),
    };
    const alone = await startIngestServer({ deps: { idempotency: away } });
    const body = JSON.stringify(ingestEvent());
    expect((await alone.post({ body, idempotencyKey: 'k' })).json).toMatchObject({ accepted: 1 });
    const again = await alone.post({ body, idempotencyKey: 'k' });
    expect(again.json).toMatchObject({ duplicates: 1 });
    expect(replayed(again)).toBeUndefined();
    expect(alone.published).toHaveLength(1);
    await alone.close();
  });
});

describe('a bus that does not take events', () => {
  test('row 45: an outage is 503 with Retry-After, nothing is remembered, and the same request later is taken', async () => {
    publish = () => Promise.reject(new OutageError('the bus'));
    const event = ingestEvent();
    const reply = await post(event, 'k-12');
    expect(reply).toMatchObject({ status: 503, json: { code: 'dependency_unavailable', retryable: true } });
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    publish = () => Promise.resolve();
    const again = await post(event, 'k-12');
    expect(again.json).toMatchObject({ accepted: 1, duplicates: 0 });
    expect(replayed(again)).toBeUndefined();
  });

  test('a publish that takes too long is 503 and gives the key back', async () => {
    const slow = await startIngestServer({
      publish: () => new Promise(() => undefined),
      limits: { publishTimeoutMs: 1 },
    });
    const body = JSON.stringify(ingestEvent());
    for (let i = 0; i < 2; i += 1) {
      const reply = await slow.post({ body, idempotencyKey: 'k' });
      expect(reply).toMatchObject({ status: 503, json: { code: 'dependency_unavailable' } });
    }
    await slow.close();
  });

  test('a fault of ours is 500 without its text', async () => {
    publish = () => Promise.reject(new Error('secret detail'));
    const reply = await post(ingestEvent(), 'k-13');
    expect(reply).toMatchObject({ status: 500, json: { code: 'internal_error' } });
    expect(reply.text).not.toContain('secret detail');
  });
});
