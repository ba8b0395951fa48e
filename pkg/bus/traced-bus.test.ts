import { expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { dead, ok, retry, type Outcome } from '../kernel/outcome.js';
import { systemRandom } from '../kernel/random.js';
import { traceparentOf } from '../kernel/traceparent.js';
import type { SpanAttributes, SpanStart, Tracer } from '../runtime/port.js';
import { eventually } from '../testkit/eventually.js';
import { quietLogger } from '../testkit/quiet.js';
import { DEFAULT_BACKOFF } from './deliver.js';
import { createMemoryBus } from './memory.js';
import type { Bus, BusMessage, Delivery } from './port.js';
import { traceBus } from './traced-bus.js';

const PLACE = { system: 'memory', destination: 'game-events' };
const CLIENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const OTHER = '00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

interface Told {
  readonly start: SpanStart;
  readonly traceparent: string;
  end: { readonly attributes: SpanAttributes; readonly failure: string | undefined } | null;
}

/** A tracer whose spans are numbered and remembered. */
function recordingTracer(): { tracer: Tracer; told: Told[] } {
  const told: Told[] = [];
  const tracer: Tracer = {
    start: (start) => {
      const spanId = String(told.length + 1).padStart(16, '0');
      const traceparent = traceparentOf({ traceId: 'a'.repeat(32), spanId, flags: 1 });
      const one: Told = { start, traceparent, end: null };
      told.push(one);
      return { traceparent, end: (attributes, failure) => (one.end = { attributes, failure }) };
    },
  };
  return { tracer, told };
}

const memoryBus = (): Bus =>
  createMemoryBus({
    roles: ['archive'],
    maxAttempts: 2,
    backoff: DEFAULT_BACKOFF,
    deadLetters: { put: () => Promise.resolve() },
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
  });

const message = (n: number, headers?: Readonly<Record<string, string>>): BusMessage => ({
  gameId: 'demo',
  playerId: `p-${String(n)}`,
  messageId: `m-${String(n)}`,
  body: `{"n":${String(n)}}`,
  ...(headers === undefined ? {} : { headers }),
});

const failing = (error: Error): Bus => ({ ...memoryBus(), publish: () => Promise.reject(error) });

test('publishing is a child of what caused it, and each message carries it beside its other headers', async () => {
  const { tracer, told } = recordingTracer();
  const bus = traceBus(memoryBus(), tracer, PLACE);
  const deliveries: Delivery[] = [];
  await bus.publish([
    message(1, { traceparent: CLIENT, other: 'kept' }),
    message(2, { traceparent: CLIENT }),
  ]);
  await bus.subscribe('archive', async (batch) => {
    deliveries.push(...batch);
    return batch.map(() => ok);
  });
  await eventually('both are delivered', () => deliveries.length === 2);
  await bus.close();

  const [published] = told;
  expect(published?.start).toEqual({
    name: 'publish game-events',
    kind: 'producer',
    parent: CLIENT,
    attributes: {
      'messaging.system': 'memory',
      'messaging.destination.name': 'game-events',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.batch.message_count': 2,
    },
  });
  expect(published?.end).toEqual({ attributes: {}, failure: undefined });
  const byId = new Map(deliveries.map(({ messageId, headers }) => [messageId, headers]));
  expect(byId.get('m-1')).toEqual({ traceparent: published?.traceparent, other: 'kept' });
  expect(byId.get('m-2')).toEqual({ traceparent: published?.traceparent });
});

test('messages of several causes have none of them as their parent, but links to each', async () => {
  const { tracer, told } = recordingTracer();
  const bus = traceBus(memoryBus(), tracer, PLACE);
  await bus.publish([message(1, { traceparent: CLIENT }), message(2, { traceparent: OTHER }), message(3)]);
  await bus.publish([message(4)]);
  await bus.close();
  expect(told.map(({ start: { parent, links } }) => ({ parent, links }))).toEqual([
    { parent: null, links: [CLIENT, OTHER] },
    { parent: null, links: undefined },
  ]);
});

test('a batch of a role begins a trace of its own that links to each cause once, and tells its outcomes', async () => {
  const { tracer, told } = recordingTracer();
  const outcomes: Outcome[] = [ok, dead('unreadable', 'no'), retry(new Error('later'))];
  const plain = memoryBus();
  await plain.publish([message(1, { traceparent: CLIENT }), message(2, { traceparent: CLIENT }), message(3)]);
  let batches = 0;
  await traceBus(plain, tracer, PLACE).subscribe('archive', async (batch) => {
    batches += 1;
    return batches === 1 ? outcomes : batch.map(() => ok);
  });
  await eventually('the retried one is done', async () => (await plain.lag('archive')).waiting === 0);
  await plain.close();
  expect(told[0]?.start).toEqual({
    name: 'process game-events',
    kind: 'consumer',
    parent: null,
    links: [CLIENT],
    attributes: {
      'messaging.system': 'memory',
      'messaging.destination.name': 'game-events',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.consumer.group.name': 'game-events-archive',
      'messaging.batch.message_count': 3,
    },
  });
  expect(told[0]?.end).toEqual({
    attributes: { 'fairtally.outcome.ok': 1, 'fairtally.outcome.retry': 1, 'fairtally.outcome.dead': 1 },
    failure: undefined,
  });
  expect(told[1]?.start.attributes['messaging.batch.message_count']).toBe(1);
});

test.each([
  ['its code, where it has one', new OutageError('The bus'), 'dependency_unavailable'],
  ['its code, whatever the class', new FairtallyError('message_refused', 'no'), 'message_refused'],
  ['no word of it, where it has none', new Error('connect to db.studio.example as u:p'), 'internal_error'],
])('what fails is told by %s, and goes on to the caller', async (_, error, code) => {
  const { tracer, told } = recordingTracer();
  await expect(traceBus(failing(error), tracer, PLACE).publish([message(1)])).rejects.toBe(error);
  expect(told.map(({ end }) => end)).toEqual([{ attributes: {}, failure: code }]);
});

test('a handler that throws is told, and throws', async () => {
  const { tracer, told } = recordingTracer();
  const plain = memoryBus();
  await plain.publish([message(1)]);
  let calls = 0;
  await traceBus(plain, tracer, PLACE).subscribe('archive', async (batch) => {
    calls += 1;
    if (calls === 1) throw new OutageError('The database');
    return batch.map(() => ok);
  });
  await eventually('it is done', async () => (await plain.lag('archive')).waiting === 0);
  await plain.close();
  expect(told.map(({ end }) => end?.failure)).toEqual(['dependency_unavailable', undefined]);
});

test('the id of a message is made when it is read, not before', async () => {
  const { tracer } = recordingTracer();
  let made = 0;
  const lazy: BusMessage = {
    gameId: 'demo',
    playerId: 'p',
    body: '{}',
    get messageId() {
      made += 1;
      return 'm';
    },
  };
  const bus = traceBus(memoryBus(), tracer, PLACE);
  await bus.publish([lazy]);
  expect(made).toBe(0);
  const ids: string[] = [];
  await bus.subscribe('archive', async (batch) => {
    ids.push(...batch.map(({ messageId }) => messageId));
    return batch.map(() => ok);
  });
  await eventually('it is delivered', () => ids.length > 0);
  await bus.close();
  expect(ids).toEqual(['m']);
});
