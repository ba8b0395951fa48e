import { afterEach, expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import { createMetrics } from '../runtime/metrics.js';
import { eventually } from '../testkit/eventually.js';
import {
  INGEST_NOW_MS,
  ingestEvent,
  startIngestServer,
  type IngestReply,
  type IngestServer,
  type IngestServerOptions,
} from '../testkit/ingest-server.js';
import { SettableClock } from '../testkit/settable-clock.js';
import { REQUEST_WORK } from './limits.js';

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
const batch = (events: number): string => JSON.stringify(Array.from({ length: events }, () => ingestEvent()));
const overloaded = { status: 503, json: { code: 'overloaded', retryable: true } };

/** A bus that keeps everything waiting until it is let go. */
function heldBus(): { publish: () => Promise<void>; letGo: () => void } {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  return { publish: () => held, letGo: () => letGo() };
}

test('with roles too far behind events are 503 with Retry-After, nothing is published, and when it is over they are taken', async () => {
  const ingest = await start({});
  ingest.world.overload = 'unapplied';
  const reply = await ingest.post({ body: one() });
  expect(reply).toMatchObject(overloaded);
  expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(Number(reply.headers['retry-after'])).toBeLessThanOrEqual(5);
  expect(reply.headers['x-request-id']).toBe(reply.json.requestId);
  expect(ingest.published).toEqual([]);
  ingest.world.overload = null;
  expect((await ingest.post({ body: one() })).status).toBe(202);
});

test.each([
  ['a late event loop', { overload: 'event_loop', publishWaitMs: 0 }],
  ['a slow bus', { overload: null, publishWaitMs: 401 }],
] as const)(
  'row 44: %s sheds what comes beyond a tenth of the work, and leaves room to find out',
  async (_, world) => {
    const bus = heldBus();
    const ingest = await start({ publish: bus.publish, limits: { maxWork: 40 * REQUEST_WORK } });
    const probe = async (): Promise<number> =>
      (await ingest.post({ body: one(), headers: { 'X-Signature': undefined } })).status;
    Object.assign(ingest.world, world);
    expect(await probe()).toBe(401);
    const held = Array.from({ length: 4 }, () => ingest.post({ body: one() }));
    await eventually('a tenth is in hand', async () => (await probe()) === 503);
    Object.assign(ingest.world, { overload: null, publishWaitMs: 400 });
    expect(await probe()).toBe(401);
    bus.letGo();
    for (const reply of await Promise.all(held)) expect([202, 503]).toContain(reply.status);
    expect(ingest.published.length).toBeGreaterThan(0);
  },
);

test('row 50: with a full disk events are 507 storage_full, asked to come back later, and taken when there is room', async () => {
  const ingest = await start({});
  ingest.world.overload = 'disk';
  const reply = await ingest.post({ body: one() });
  expect(reply).toMatchObject({ status: 507, json: { code: 'storage_full', retryable: true } });
  expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(15);
  expect(ingest.published).toEqual([]);
  ingest.world.overload = null;
  expect((await ingest.post({ body: one() })).status).toBe(202);
});

test('row 50: a database that says its disk is full is 507 storage_full, and the same events are taken later', async () => {
  let isFull = true;
  const ingest = await start({
    publish: async () => {
      if (isFull) throw new OutageError('PostgreSQL', new Error('53100'), 'storage_full');
    },
  });
  const post = { body: one(), idempotencyKey: 'again' };
  const reply = await ingest.post(post);
  expect(reply).toMatchObject({ status: 507, json: { code: 'storage_full', retryable: true } });
  expect(Number(reply.headers['retry-after'])).toBeGreaterThanOrEqual(15);
  isFull = false;
  expect((await ingest.post(post)).status).toBe(202);
  expect(ingest.published).toHaveLength(1);
});

test('those who are turned away together are asked to come back apart', async () => {
  const ingest = await start({});
  ingest.world.overload = 'unapplied';
  const replies = await Promise.all(Array.from({ length: 60 }, () => ingest.post({ body: one() })));
  expect(new Set(replies.map(({ headers }) => headers['retry-after'])).size).toBeGreaterThan(1);
});

test('it is shed before the body has come and whoever asks: a request that never sends its body has its answer', async () => {
  const ingest = await start({});
  ingest.world.overload = 'unapplied';
  const head = 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n';
  const text = await ingest.raw(head, (said) => said.includes('requestId'));
  expect(text).toContain('HTTP/1.1 503');
  expect(text.toLowerCase()).toContain('connection: close');
});

test('a connection outlives being turned away, and its next request is judged by itself', async () => {
  const ingest = await start({});
  ingest.world.overload = 'unapplied';
  const bytes = ingest.bytes({ body: one() });
  let sent = false;
  const text = await ingest.raw(Buffer.concat([bytes, bytes]), (said) => {
    sent ||= said.includes('503');
    return said.split('requestId').length === 3;
  });
  expect(text.split('HTTP/1.1 503')).toHaveLength(3);
});

test('row 44: while the bus keeps everything waiting what is beyond the work in hand is 503 at once; what is in hand is taken', async () => {
  const bus = heldBus();
  const metrics = createMetrics({ processMetrics: false });
  const ingest = await start({
    publish: bus.publish,
    limits: { maxWork: 3 * REQUEST_WORK },
    deps: { metrics },
  });
  const replies: IngestReply[] = [];
  const posts = Array.from({ length: 40 }, () =>
    ingest.post({ body: one() }).then((reply) => replies.push(reply)),
  );
  // Three fill the bound; a few more may have passed the door while their bodies were on the way.
  await eventually('nearly all others are answered', () => replies.length >= 30);
  for (const reply of replies) expect(reply).toMatchObject(overloaded);
  bus.letGo();
  await Promise.all(posts);
  const accepted = replies.filter(({ status }) => status === 202).length;
  expect(accepted).toBeGreaterThan(0);
  for (const reply of replies) if (reply.status !== 202) expect(reply).toMatchObject(overloaded);
  expect(ingest.published).toHaveLength(accepted);
  const shed = `fairtally_ingest_shed_total{reason="work"} ${String(40 - accepted)}`;
  expect(await metrics.render()).toContain(shed);
  expect((await ingest.post({ body: one() })).status).toBe(202);
  expect(await metrics.render()).toContain('fairtally_ingest_in_flight_work 0');
});

test('a batch is as much work as it has events', async () => {
  const bus = heldBus();
  const metrics = createMetrics({ processMetrics: false });
  const maxWork = 2 * REQUEST_WORK + 51;
  const clock = new SettableClock(INGEST_NOW_MS); // however long it takes here, it is a burst
  const ingest = await start({ publish: bus.publish, limits: { maxWork }, deps: { metrics, clock } });
  const holds = async (work: number): Promise<boolean> =>
    (await metrics.render()).includes(`fairtally_ingest_in_flight_work ${String(work)}\n`);
  const path = '/v1/events/batch';
  const held = [ingest.post({ path, body: batch(50) })];
  await eventually('the batch is in hand', async () => {
    const probe = await ingest.post({ body: one(), headers: { 'X-Signature': undefined } });
    expect(probe.status).toBe(401);
    return holds(REQUEST_WORK + 50);
  });
  held.push(ingest.post({ path, body: batch(50) }));
  await eventually('two batches are too much for a third request', async () => {
    const probe = await ingest.post({ body: one(), headers: { 'X-Signature': undefined } });
    return probe.status === 503;
  });
  bus.letGo();
  for (const reply of await Promise.all(held)) expect(reply.status).toBe(202);
  expect(ingest.published).toHaveLength(100);
});

test('row 61: clients that send their bodies slowly are no work, and others are served meanwhile', async () => {
  const ingest = await start({ limits: { maxWork: 1 } });
  const bytes = ingest.bytes({ body: one() });
  const slow = Array.from({ length: 5 }, () => ingest.raw(bytes.subarray(0, -5)));
  for (let i = 0; i < 5; i += 1) expect((await ingest.post({ body: one() })).status).toBe(202);
  await ingest.close();
  await Promise.all(slow);
});

test('row 46: however many come while the bus is slow, what is held in hand has a bound', async () => {
  const bus = heldBus();
  const metrics = createMetrics({ processMetrics: false });
  const ingest = await start({ publish: bus.publish, limits: { maxWork: 200 }, deps: { metrics } });
  const statuses: number[] = [];
  const body = batch(20);
  const path = '/v1/events/batch';
  const posts = Array.from({ length: 300 }, () =>
    ingest.post({ path, body }).then(({ status }) => statuses.push(status)),
  );
  // Eight fill the bound; a few more may have passed the door while their bodies were on the way.
  await eventually('nearly all are answered', () => statuses.length >= 270);
  expect(new Set(statuses)).toEqual(new Set([503]));
  const [, bytes] = /fairtally_ingest_in_flight_bytes (\d+)/.exec(await metrics.render()) ?? [];
  expect(Number(bytes)).toBeLessThanOrEqual(30 * body.length);
  bus.letGo();
  await Promise.all(posts);
  expect(new Set(statuses)).toEqual(new Set([202, 503]));
});
