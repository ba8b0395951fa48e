import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { startTraceCollector, type TraceCollector } from '../testkit/trace-collector.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger } from '../testkit/quiet.js';
import type { Logger, SpanStart } from './port.js';
import { startTracing, type Tracing } from './tracing.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
/** Spans that are sent at once. */
const ENOUGH_TO_SEND = 512;
const work: SpanStart = { name: 'work', kind: 'server', parent: null, attributes: {} };

const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function collecting(): Promise<{ collector: TraceCollector; tracing: Tracing }> {
  const collector = await startTraceCollector();
  cleanups.push(collector.close);
  const otlpEndpoint = `${collector.url}/`;
  const options = { otlpEndpoint, serviceName: 'a-service', clock: systemClock, logger: quietLogger };
  return { collector, tracing: await startTracing(options) };
}

test('a span is sent with its service, its parent, its attributes and its failure; what waits is sent at the end', async () => {
  const { collector, tracing } = await collecting();
  const start = {
    ...work,
    parent: `00-${TRACE}-${PARENT}-01`,
    attributes: { 'http.route': '/v1/events', n: 1 },
  };
  const span = tracing.tracer.start(start);
  expect(span.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-01$`));
  const child = tracing.tracer.start({ ...work, name: 'child', kind: 'producer', parent: span.traceparent });
  child.end({}, 'dependency_unavailable');
  span.end({ n: 2 });
  await tracing.close();
  expect(collector.spans).toMatchObject([
    {
      service: 'a-service',
      traceId: TRACE,
      parentSpanId: span.traceparent.split('-')[2],
      name: 'child',
      kind: 4,
      attributes: { 'error.type': 'dependency_unavailable' },
      isError: true,
    },
    {
      traceId: TRACE,
      parentSpanId: PARENT,
      name: 'work',
      kind: 2,
      attributes: { 'http.route': '/v1/events', n: 2 },
      isError: false,
    },
  ]);
});

test('links are taken up to 128; a traceparent that cannot be read is neither a parent nor a link', async () => {
  const { collector, tracing } = await collecting();
  const links = Array.from({ length: 200 }, (_, n) => `00-${TRACE}-${String(n + 1).padStart(16, '0')}-01`);
  tracing.tracer.start({ ...work, links: ['nonsense', ...links] }).end({});
  tracing.tracer.start({ ...work, parent: `ff-${TRACE}-${PARENT}-01` }).end({});
  await tracing.close();
  const [many, root] = collector.spans;
  expect(many?.links).toHaveLength(128);
  expect(many?.links[0]).toEqual({ traceId: TRACE, spanId: '0000000000000001' });
  expect(root?.parentSpanId).toBe('');
  expect(root?.traceId).not.toBe(TRACE);
});

test('a trace that its client does not record is not recorded, and goes on to what the span causes', async () => {
  const { collector, tracing } = await collecting();
  const span = tracing.tracer.start({ ...work, parent: `00-${TRACE}-${PARENT}-00` });
  expect(span.traceparent).toMatch(new RegExp(`^00-${TRACE}-[0-9a-f]{16}-00$`));
  span.end({});
  tracing.tracer.start({ ...work, name: 'recorded' }).end({});
  await tracing.close();
  expect(collector.spans.map(({ name }) => name)).toEqual(['recorded']);
});

/** A collector that refuses, at once or only when the test is over. */
async function badCollector(isSilent: boolean): Promise<{ url: string; requests: () => number }> {
  let requests = 0;
  const held: ServerResponse[] = [];
  const server = createServer((_, response) => {
    requests += 1;
    if (isSilent) held.push(response);
    else response.writeHead(400).end('no');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(
    () =>
      new Promise((resolve) => {
        for (const response of held) response.writeHead(400, { connection: 'close' }).end('no');
        server.close(() => resolve());
        server.closeIdleConnections();
      }),
  );
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests: () => requests,
  };
}

function rememberingLogger(): { logger: Logger; told: { fields: object; message: string }[] } {
  const told: { fields: object; message: string }[] = [];
  return { logger: { ...quietLogger, warn: (fields, message) => void told.push({ fields, message }) }, told };
}

test('what a collector refuses is told in a few words, at most once a minute', async () => {
  const { url, requests } = await badCollector(false);
  const { logger, told } = rememberingLogger();
  let nowMs = 0;
  const clock = { monotonicMs: () => nowMs, sleep: systemClock.sleep };
  const tracing = await startTracing({ otlpEndpoint: url, serviceName: 's', clock, logger });
  const lose = async (): Promise<void> => {
    const before = requests();
    for (let n = 0; n < ENOUGH_TO_SEND; n += 1) tracing.tracer.start(work).end({});
    await eventually('it is refused', () => requests() > before);
  };
  await lose();
  await eventually('it is told', () => told.length === 1);
  expect(told[0]?.message).toBe('traces are lost');
  expect(JSON.stringify(told[0]?.fields)).toContain('Bad Request');
  expect(JSON.stringify(told[0]?.fields)).not.toContain('node_modules');
  await lose();
  await lose();
  nowMs = 60_000;
  await lose();
  await eventually('it is told again', () => told.length === 2);
  await tracing.close();
});

test('the end does not wait for a collector that never answers', async () => {
  const { url, requests } = await badCollector(true);
  const { logger, told } = rememberingLogger();
  const clock = { monotonicMs: () => 0, sleep: () => eventually('it is sent', () => requests() > 0) };
  const tracing = await startTracing({ otlpEndpoint: url, serviceName: 's', clock, logger });
  tracing.tracer.start(work).end({});
  await tracing.close();
  expect(told).toEqual([{ fields: {}, message: 'the last traces could not be sent in time' }]);
});
