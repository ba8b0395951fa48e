import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { ROLES } from '../kernel/roles.js';
import { eventually } from './eventually.js';
import { freePort } from './postgres-server.js';
import { startStack, type Stack } from './stack.js';
import { startTraceCollector, type CollectedSpan } from './trace-collector.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const PLAYER = 'player-whom-no-trace-names';
const ACTIVITY = 'payload-that-no-trace-tells';

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function stackWith(env: Record<string, string>): Promise<Stack> {
  const stack = await startStack({ env });
  cleanups.push(() => stack.close());
  return stack;
}

async function post(stack: Stack, url: string, id: string, traceparent?: string): Promise<number> {
  const client = stack.client(url);
  const payload = { deltaXp: 10, activity: ACTIVITY };
  const event = { id, type: 'progression', playerId: PLAYER, ts: systemClock.now(), payload };
  const headers = traceparent === undefined ? {} : { traceparent };
  const { status } = await client.send('POST', '/v1/events', { body: JSON.stringify(event), headers });
  client.close();
  return status;
}

test('a request is a child of the client, publishing a child of the request, and each role links to it', async () => {
  const collector = await startTraceCollector();
  cleanups.push(() => collector.close());
  const stack = await stackWith({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const gateway = await stack.startGateway();
  const worker = await stack.startWorker();
  expect(await post(stack, gateway.url, 'traced-1', `00-${TRACE}-${CLIENT_SPAN}-01`)).toBe(202);
  await stack.drained();

  const named = (name: string): CollectedSpan[] => collector.spans.filter((span) => span.name === name);
  const applied = (): CollectedSpan[] =>
    named('process game-events').filter(({ attributes }) => attributes['fairtally.outcome.ok'] === 1);
  await eventually('each role sent its span', () => applied().length >= ROLES.length);
  await eventually('the gateway sent its spans', () => named('POST /v1/events').length > 0);

  const [request] = named('POST /v1/events');
  expect(request).toMatchObject({
    service: 'fairtally-gateway',
    traceId: TRACE,
    parentSpanId: CLIENT_SPAN,
    kind: 2,
    isError: false,
    attributes: {
      'http.request.method': 'POST',
      'http.route': '/v1/events',
      'http.response.status_code': 202,
    },
  });
  const [published] = named('publish game-events');
  expect(published).toMatchObject({
    service: 'fairtally-gateway',
    traceId: TRACE,
    parentSpanId: request?.spanId,
    kind: 4,
    attributes: {
      'messaging.system': 'postgresql',
      'messaging.destination.name': 'game-events',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.batch.message_count': 1,
    },
  });
  const groups = applied().map(({ attributes }) => attributes['messaging.consumer.group.name']);
  expect(groups.sort()).toEqual(ROLES.map((role) => `game-events-${role}`).sort());
  for (const span of applied()) {
    expect(span).toMatchObject({ service: 'fairtally-worker', kind: 5, parentSpanId: '', isError: false });
    expect(span.traceId).not.toBe(TRACE);
    expect(span.links).toEqual([{ traceId: TRACE, spanId: published?.spanId }]);
    expect(span.attributes).toMatchObject({ 'messaging.batch.message_count': 1 });
  }
  const [row] = await stack.db.query<{ context: unknown }>('SELECT context FROM events');
  expect(row?.context).toMatchObject({ traceparent: `00-${TRACE}-${CLIENT_SPAN}-01` });

  // What a stop finds unsent is sent by it.
  expect(await post(stack, gateway.url, 'traced-2')).toBe(202);
  gateway.process.kill('SIGTERM');
  expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  expect(named('POST /v1/events').map(({ parentSpanId }) => parentSpanId)).toEqual([CLIENT_SPAN, '']);
  worker.kill('SIGTERM');
  expect(await worker.exited).toEqual({ code: 0, signal: null });
  expect(collector.bodies.join('')).not.toMatch(new RegExp(`${PLAYER}|${ACTIVITY}|traced-1|a-secret`));
}, 120_000);

/** A folder into which processes of `NODE_V8_COVERAGE` write, at their end, which files they had loaded. */
function loadedFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-loaded-'));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const loadedInto = (folder: string): string =>
  readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .flatMap((text) => (JSON.parse(text) as { result: { url: string }[] }).result.map(({ url }) => url))
    .join('\n');

const SDK = /@opentelemetry\/(sdk-trace|exporter-trace-otlp-http|resources|core)\//;

test('a collector that is away costs no event, is told of at most once a minute, and holds no stop up', async () => {
  const nobody = `http://127.0.0.1:${String(await freePort())}`;
  const folder = loadedFolder();
  const stack = await stackWith({ OTEL_EXPORTER_OTLP_ENDPOINT: nobody, NODE_V8_COVERAGE: folder });
  const beganMs = systemClock.monotonicMs();
  const gateway = await stack.startGateway();
  expect(await post(stack, gateway.url, 'lost-0')).toBe(202);
  await gateway.process.waitFor(/traces are lost/);
  for (let i = 1; i <= 20; i += 1) expect(await post(stack, gateway.url, `lost-${String(i)}`)).toBe(202);
  gateway.process.kill('SIGTERM');
  expect(await gateway.process.exited).toEqual({ code: 0, signal: null });
  const minutes = (systemClock.monotonicMs() - beganMs) / 60_000;
  const told = gateway.process.output().match(/traces are lost/g) ?? [];
  expect(told.length).toBeLessThanOrEqual(1 + Math.floor(minutes));
  expect(loadedInto(folder)).toMatch(SDK);
}, 120_000);

test('where no collector is named the OpenTelemetry SDK is not loaded', async () => {
  const folder = loadedFolder();
  const stack = await stackWith({ NODE_V8_COVERAGE: folder });
  const { process } = await stack.startGateway();
  process.kill('SIGTERM');
  expect(await process.exited).toEqual({ code: 0, signal: null });
  expect(loadedInto(folder)).toContain('/dist/pkg/runtime/tracing.js');
  expect(loadedInto(folder)).not.toMatch(SDK);
}, 120_000);
