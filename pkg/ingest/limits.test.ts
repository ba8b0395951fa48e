import { afterEach, describe, expect, test } from '@jest/globals';
import { connect } from 'node:net';
import { createClientAddress } from './client-address.js';
import {
  INGEST_NOW_MS,
  ingestEvent,
  startIngestServer,
  type IngestServer,
  type IngestServerOptions,
} from '../testkit/ingest-server.js';
import { eventually } from '../testkit/eventually.js';

let servers: IngestServer[] = [];
const start = async (options: IngestServerOptions): Promise<IngestServer> => {
  const ingest = await startIngestServer(options);
  servers.push(ingest);
  return ingest;
};
afterEach(async () => {
  await Promise.all(servers.map((ingest) => ingest.close()));
  servers = [];
});
const one = (): string => JSON.stringify(ingestEvent());
/** Fills so slowly that the time a test takes adds nothing. */
const slowly = (burst: number): { rate: number; burst: number } => ({ rate: 0.01, burst });

describe('rate limits', () => {
  test('row 59: a key over its limit is 429 with Retry-After and RateLimit; time makes it pass again', async () => {
    const ingest = await start({ limits: { keyRate: slowly(3) } });
    for (const left of ['2', '1', '0']) {
      const reply = await ingest.post({ body: one() });
      expect(reply.status).toBe(202);
      expect(reply.headers['ratelimit']).toMatch(new RegExp(`^"key";r=${left};t=\\d+$`));
      expect(reply.headers['ratelimit-policy']).toBe('"key";q=3;w=300');
    }
    const refused = await ingest.post({ body: one() });
    expect(refused).toMatchObject({ status: 429, json: { code: 'rate_limited', retryable: true } });
    const waitSeconds = Number(refused.headers['retry-after']);
    expect(waitSeconds).toBeGreaterThan(90);
    expect(waitSeconds).toBeLessThanOrEqual(100);
    expect((await ingest.post({ body: one(), keyId: 'demo-2' })).status).toBe(202);
    ingest.world.monotonicSkewMs += waitSeconds * 1000;
    expect((await ingest.post({ body: one() })).status).toBe(202);
    expect(ingest.published).toHaveLength(5);
  });

  test('row 59: a batch costs its events; one that does not fit is refused whole and nothing of it is published', async () => {
    const ingest = await start({ limits: { keyRate: slowly(100) } });
    const batch = (n: number) =>
      ingest.post({
        path: '/v1/events/batch',
        body: JSON.stringify(Array.from({ length: n }, () => ingestEvent())),
      });
    expect((await batch(60)).headers['ratelimit']).toMatch(/r=40;/);
    expect((await batch(60)).status).toBe(429);
    expect(ingest.published).toHaveLength(60);
    expect((await batch(30)).status).toBe(202);
  });

  test('row 59: a player over the limit does not stop the others', async () => {
    const ingest = await start({ limits: { playerRate: slowly(2) } });
    const [a, again, b] = [ingest.session('p-1'), ingest.session('p-1'), ingest.session('p-2')];
    expect((await ingest.post({ body: one(), ...a })).headers['ratelimit']).toMatch(/^"player"/);
    expect((await ingest.post({ body: one(), ...again })).status).toBe(202);
    expect((await ingest.post({ body: one(), ...a })).status).toBe(429);
    const other = JSON.stringify(ingestEvent({ playerId: 'p-2' }));
    expect((await ingest.post({ body: other, ...b })).status).toBe(202);
  });

  test('an address over its budget is refused before its signature is looked at', async () => {
    const ingest = await start({ limits: { addressRate: slowly(2) } });
    const unsigned = { body: one(), headers: { 'X-Signature': undefined } };
    expect((await ingest.post(unsigned)).status).toBe(401);
    expect((await ingest.post(unsigned)).status).toBe(401);
    expect(await ingest.post(unsigned)).toMatchObject({ status: 429, json: { code: 'rate_limited' } });
  });

  test('row 60: a forged X-Forwarded-For buys no budget, with no proxy, one, or a network of them', async () => {
    for (const trust of [
      { kind: 'none' },
      { kind: 'hops', hops: 1 },
      { kind: 'networks', networks: ['127.0.0.1/32'] },
    ] as const) {
      const ingest = await start({
        limits: { addressRate: slowly(3) },
        deps: { clientAddress: createClientAddress(trust) },
      });
      const statuses = [];
      for (let i = 0; i < 5; i += 1) {
        // What the client forged stands left; the trusted proxy appended the address it saw.
        const forged = `10.0.0.${String(i)}, 2001:db8::${String(i)}${trust.kind === 'none' ? '' : ', 203.0.113.9'}`;
        statuses.push((await ingest.post({ body: one(), headers: { 'X-Forwarded-For': forged } })).status);
      }
      expect(statuses).toEqual([202, 202, 202, 429, 429]);
    }
  });
});

describe('overload', () => {
  test('beyond the requests in hand a request is 503 at once, and room is given back', async () => {
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const ingest = await start({ publish: () => opened, limits: { maxInFlightRequests: 2 } });
    let waiting = 0;
    const held = [1, 2].map(() => ingest.post({ body: one() }).finally(() => (waiting -= 1)));
    waiting = held.length;
    await eventually('two requests are refused room', async () => {
      const reply = await ingest.post({ body: one(), headers: { 'X-Signature': undefined } });
      if (reply.status === 503) expect(reply.json).toMatchObject({ code: 'overloaded', retryable: true });
      return reply.status === 503;
    });
    expect(waiting).toBe(2);
    open();
    for (const reply of await Promise.all(held)) expect(reply.status).toBe(202);
    expect((await ingest.post({ body: one() })).status).toBe(202);
  });

  test('beyond the bytes in hand a request is 503, and what was read is given back whatever became of it', async () => {
    const ingest = await start({ limits: { maxInFlightBytes: 300 } });
    for (let i = 0; i < 20; i += 1) {
      expect((await ingest.post({ body: one() })).status).toBe(202);
      expect((await ingest.post({ body: one(), secret: 'wrong' })).status).toBe(401);
      expect((await ingest.post({ body: '{' })).status).toBe(400);
    }
    const large = JSON.stringify(
      ingestEvent({ payload: { deltaXp: 1, activity: 'x', more: 'y'.repeat(400) } }),
    );
    expect(await ingest.post({ body: large })).toMatchObject({ status: 503, json: { code: 'overloaded' } });
  });
});

describe('uploads that never end', () => {
  const signed = (length: number): Buffer =>
    Buffer.from(
      [
        'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Key-Id: nobody',
        `X-Timestamp: ${String(INGEST_NOW_MS / 1000)}\r\nX-Signature: v1=${'a'.repeat(64)}`,
        `Content-Length: ${String(length)}\r\n\r\n${' '.repeat(length - 1)}`,
      ].join('\r\n'),
    );

  test.each([
    ['requests', { maxInFlightRequests: 4 }],
    ['bytes', { maxInFlightBytes: 4_000 }],
  ])('row 61: strangers who hold all the %s with them are ended when others come', async (_, limits) => {
    const ingest = await start({ limits });
    const strangers = [1, 2, 3, 4].map(() => ingest.raw(signed(1_000), (text) => text.includes('requestId')));
    const post = async (): Promise<number> => (await ingest.post({ body: one() })).status;
    await eventually('they hold all there is', async () => (await post()) === 503);
    ingest.world.monotonicSkewMs = 1_001;
    await eventually('others are served', async () => (await post()) === 202);
    for (const text of await Promise.all(strangers)) expect(text).toContain('"code":"overloaded"');
  });

  test('a slow upload is borne as long as there is room for others', async () => {
    const ingest = await start({ limits: { maxInFlightRequests: 4 } });
    let said = '';
    void ingest.raw(signed(1_000), (text) => ((said = text), false));
    for (let n = 0; n < 20; n += 1) {
      ingest.world.monotonicSkewMs += 1_001;
      expect((await ingest.post({ body: one() })).status).toBe(202);
    }
    expect(said).toBe('');
  });
});

describe('slow clients', () => {
  const slow = { headersTimeoutMs: 150, requestTimeoutMs: 300, connectionsCheckingIntervalMs: 50 };

  test('row 61: a client that dribbles its headers gets 408, and others are served meanwhile', async () => {
    const ingest = await start({ slow });
    const dribble = ingest.raw('POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Key');
    expect((await ingest.post({ body: one() })).status).toBe(202);
    expect(await dribble).toContain('HTTP/1.1 408');
  });

  test('row 61: a client that dribbles its body gets 408, and nothing of it is published', async () => {
    const ingest = await start({ slow });
    const bytes = ingest.bytes({ body: one() });
    const reply = await ingest.raw(bytes.subarray(0, -5));
    expect(reply).toContain('HTTP/1.1 408');
    expect(ingest.published).toEqual([]);
    expect((await ingest.post({ body: one() })).status).toBe(202);
  });

  test('row 61: idle sockets beyond the most connections are turned away', async () => {
    const ingest = await start({ slow: { maxConnections: 3 } });
    const sockets = Array.from({ length: 10 }, () => connect({ port: ingest.port, host: '127.0.0.1' }));
    let closed = 0;
    for (const socket of sockets) socket.on('error', () => undefined).on('close', () => (closed += 1));
    await eventually('seven of ten are closed', () => closed === 7);
    for (const socket of sockets) socket.destroy();
  });
});
