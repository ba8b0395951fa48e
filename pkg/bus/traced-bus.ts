import { FairtallyError } from '../kernel/errors.js';
import type { Outcome } from '../kernel/outcome.js';
import type { RoleName } from '../kernel/roles.js';
import type { SpanAttributes, Tracer } from '../runtime/port.js';
import type { BatchHandler, Bus, BusMessage } from './port.js';

/** The header of a message that carries the W3C trace context of what published it. */
const HEADER = 'traceparent';

export interface TracedPlace {
  /** `messaging.system` of the OpenTelemetry semantic conventions. */
  readonly system: string;
  /** Topic, or what the queues are named after. */
  readonly destination: string;
}

/**
 * A bus whose publishing and whose roles are told in traces: a producer span per `publish`, whose context each message
 * carries in its header `traceparent`; a consumer span per batch of a role, linked to the messages' contexts. Links, not
 * parents: a batch has many causes, and a role may come to it a week later.
 */
export function traceBus(bus: Bus, tracer: Tracer, place: TracedPlace): Bus {
  return {
    publish: (messages) => publish(bus, tracer, place, messages),
    subscribe: (role, handler) => bus.subscribe(role, traceHandler(handler, tracer, place, role)),
    lag: (role) => bus.lag(role),
    ping: () => bus.ping(),
    close: () => bus.close(),
  };
}

async function publish(
  bus: Bus,
  tracer: Tracer,
  place: TracedPlace,
  messages: readonly BusMessage[],
): Promise<void> {
  const causes = causesOf(messages);
  const span = tracer.start({
    name: `publish ${place.destination}`,
    kind: 'producer',
    parent: causes.length === 1 ? (causes[0] ?? null) : null,
    ...(causes.length > 1 ? { links: causes } : {}),
    attributes: { ...placeAttributes(place, 'publish', 'send'), ...countOf(messages) },
  });
  try {
    await bus.publish(messages.map((message) => new TracedMessage(message, span.traceparent)));
    span.end({});
  } catch (error) {
    span.end({}, codeOf(error));
    throw error;
  }
}

function traceHandler(
  handler: BatchHandler,
  tracer: Tracer,
  place: TracedPlace,
  role: RoleName,
): BatchHandler {
  const fixed = {
    ...placeAttributes(place, 'process', 'process'),
    'messaging.consumer.group.name': `${place.destination}-${role}`,
  };
  return async (batch) => {
    const span = tracer.start({
      name: `process ${place.destination}`,
      kind: 'consumer',
      parent: null,
      links: causesOf(batch),
      attributes: { ...fixed, ...countOf(batch) },
    });
    try {
      const outcomes = await handler(batch);
      span.end(outcomeCounts(outcomes));
      return outcomes;
    } catch (error) {
      span.end({}, codeOf(error));
      throw error;
    }
  };
}

/** A message with another trace context. Its id is still made only when it is read. */
class TracedMessage implements BusMessage {
  readonly gameId: string;
  readonly playerId: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly #message: BusMessage;

  constructor(message: BusMessage, traceparent: string) {
    this.gameId = message.gameId;
    this.playerId = message.playerId;
    this.body = message.body;
    this.headers = { ...message.headers, [HEADER]: traceparent };
    this.#message = message;
  }

  get messageId(): string {
    return this.#message.messageId;
  }
}

/** The trace contexts that messages came with, each once, in their order. */
function causesOf(messages: readonly Pick<BusMessage, 'headers'>[]): string[] {
  const causes = new Set<string>();
  for (const { headers } of messages) {
    const cause = headers?.[HEADER];
    if (cause !== undefined) causes.add(cause);
  }
  return [...causes];
}

const placeAttributes = (
  { system, destination }: TracedPlace,
  name: string,
  type: 'send' | 'process',
): SpanAttributes => ({
  'messaging.system': system,
  'messaging.destination.name': destination,
  'messaging.operation.name': name,
  'messaging.operation.type': type,
});

const countOf = (messages: readonly unknown[]): SpanAttributes => ({
  'messaging.batch.message_count': messages.length,
});

function outcomeCounts(outcomes: readonly Outcome[]): SpanAttributes {
  const counts = { ok: 0, retry: 0, dead: 0 };
  for (const { kind } of outcomes) counts[kind] += 1;
  return {
    'fairtally.outcome.ok': counts.ok,
    'fairtally.outcome.retry': counts.retry,
    'fairtally.outcome.dead': counts.dead,
  };
}

const codeOf = (error: unknown): string => (error instanceof FairtallyError ? error.code : 'internal_error');
