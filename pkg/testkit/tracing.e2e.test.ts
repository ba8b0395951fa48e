import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
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

/** What a test opened; closed at its end, the last first. */
type Opened = (() => Promise<void> | void)[];

/** Side by side: most of the time they wait for what is sent now and then. */
const alongside = (title: string, run: (opened: Opened) => Promise<void>): void =>
  test.concurrent(
    title,
    async () => {
      const opened: Opened = [];
      try {
        await run(opened);
      } finally {
        for (const close of opened.reverse()) await close();
      }
    },
    120_000,
  );

async function stackWith(opened: Opened, env: Record<string, string>): Promise<Stack> {
  const stack = await startStack({ env });
  opened.push(() => stack.close());
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

alongside(
  'a request is a child of the client, publishing a child of the request, and each role links to it',
  async (opened) => {
    const collector = await startTraceCollector();
    opened.push(() => collector.close());
    const stack = await stackWith(opened, { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
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
  },
);

/** A folder into which processes of `NODE_V8_COVERAGE` write, at their end, which files they had loaded. */
function loadedFolder(opened: Opened): string {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-loaded-'));
  opened.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const loadedInto = (folder: string): string =>
  readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .flatMap((text) => (JSON.parse(text) as { result: { url: string }[] }).result.map(({ url }) => url))
    .join('\n');

const SDK = /@opentelemetry\/(sdk-trace|exporter-trace-otlp-http|resources|core)\//;

alongside(
  'a collector that is away costs no event, is told of at most once a minute, and holds no stop up',
  async (opened) => {
    const nobody = `http://127.0.0.1:${String(await freePort())}`;
    const folder = loadedFolder(opened);
    const stack = await stackWith(opened, { OTEL_EXPORTER_OTLP_ENDPOINT: nobody, NODE_V8_COVERAGE: folder });
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
  },
);

alongside('where no collector is named the OpenTelemetry SDK is not loaded', async (opened) => {
  const folder = loadedFolder(opened);
  const stack = await stackWith(opened, { NODE_V8_COVERAGE: folder });
  const { process } = await stack.startGateway();
  process.kill('SIGTERM');
  expect(await process.exited).toEqual({ code: 0, signal: null });
  expect(loadedInto(folder)).toContain('/dist/pkg/runtime/tracing.js');
  expect(loadedInto(folder)).not.toMatch(SDK);
});
