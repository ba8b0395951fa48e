import {
  diag,
  DiagLogLevel,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type DiagLogger,
  type Link,
  type SpanContext,
  type Tracer as OtelTracer,
} from '@opentelemetry/api';
import type { Clock } from '../kernel/clock.js';
import { readTraceparent, traceparentOf } from '../kernel/traceparent.js';
import type { Logger, SpanStart, Tracer } from './port.js';
import { codeVersion } from './version.js';

export interface TracingOptions {
  /** Base URL of an OTLP/HTTP collector; `/v1/traces` is put behind it, as the OTLP exporter specification says. */
  readonly otlpEndpoint: string;
  readonly serviceName: string;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
  readonly logger: Logger;
}

export interface Tracing {
  readonly tracer: Tracer;
  /** Sends what waits, within a bound, and ends. Never rejects. */
  close(): Promise<void>;
}

/** Spans that wait to be sent, and how many go at once. When the collector is slower than we are the newest are dropped. */
const WAITING_MAX = 4_096;
const EXPORT_MAX = 512;
const EXPORT_EVERY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 5_000;
/** At the end all that waits is sent side by side. */
const EXPORTS_AT_ONCE = WAITING_MAX / EXPORT_MAX + 1;
const FLUSH_WITHIN_MS = 3_000;
const LINKS_MAX = 128;
const COMPLAIN_EVERY_MS = 60_000;
const COMPLAINT_MAX = 300;

/**
 * Loads the OpenTelemetry SDK and sends spans to a collector, from a bounded queue, in the background: a collector that is
 * slow or away costs spans, never a request. What is lost is logged, at most once a minute.
 */
export async function startTracing({
  otlpEndpoint,
  serviceName,
  clock,
  logger,
}: TracingOptions): Promise<Tracing> {
  // Only here: who makes no traces loads none of it.
  const [sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ]);
  diag.setLogger(complaints(logger, clock), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const exporter = new OTLPTraceExporter({
    url: `${otlpEndpoint.replace(/\/+$/, '')}/v1/traces`,
    timeoutMillis: EXPORT_TIMEOUT_MS,
    concurrencyLimit: EXPORTS_AT_ONCE,
  });
  const processor = new sdk.BatchSpanProcessor({
    exporter,
    maxQueueSize: WAITING_MAX,
    maxExportBatchSize: EXPORT_MAX,
    scheduledDelayMillis: EXPORT_EVERY_MS,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  });
  const version = codeVersion();
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': serviceName, 'service.version': version }),
    spanProcessors: [processor],
    spanLimits: { linkCountLimit: LINKS_MAX },
  });
  return {
    tracer: tracerOf(provider.getTracer('fairtally', version)),
    close: async () => {
      const done = new AbortController();
      const finish = (): void => done.abort(); // fails or not: the exporter has complained of what it could not send
      void provider.shutdown().then(finish, finish);
      await clock.sleep(FLUSH_WITHIN_MS, done.signal);
      if (!done.signal.aborted) logger.warn({}, 'the last traces could not be sent in time');
    },
  };
}

const KINDS = { server: SpanKind.SERVER, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER };

const tracerOf = (otel: OtelTracer): Tracer => ({
  start: ({ name, kind, parent, links, attributes }) => {
    const options = { kind: KINDS[kind], attributes: { ...attributes }, links: linksOf(links) };
    const span = otel.startSpan(name, options, parentOf(parent));
    const { traceId, spanId, traceFlags } = span.spanContext();
    return {
      traceparent: traceparentOf({ traceId, spanId, flags: traceFlags }),
      end: (more, failure) => {
        span.setAttributes({ ...more });
        if (failure !== undefined) {
          span.setAttribute('error.type', failure);
          span.setStatus({ code: SpanStatusCode.ERROR });
        }
        span.end();
      },
    };
  },
});

function parentOf(traceparent: string | null): Context {
  const remote = traceparent === null ? null : remoteContext(traceparent);
  return remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, remote);
}

function linksOf(traceparents: SpanStart['links'] = []): Link[] {
  const links: Link[] = [];
  for (const traceparent of traceparents) {
    if (links.length === LINKS_MAX) break;
    const context = remoteContext(traceparent);
    if (context !== null) links.push({ context });
  }
  return links;
}

function remoteContext(traceparent: string): SpanContext | null {
  const read = readTraceparent(traceparent);
  if (read === null) return null;
  return { traceId: read.traceId, spanId: read.spanId, traceFlags: read.flags, isRemote: true };
}

/** What the SDK has to say, at most one line a minute: a collector that is away has it say the same every second. */
function complaints(logger: Logger, clock: Pick<Clock, 'monotonicMs'>): DiagLogger {
  let nextMs = -Infinity;
  let unsaid = 0;
  const complain = (message: string): void => {
    unsaid += 1;
    if (clock.monotonicMs() < nextMs) return;
    nextMs = clock.monotonicMs() + COMPLAIN_EVERY_MS;
    logger.warn({ complaint: gist(message), complaints: unsaid }, 'traces are lost');
    unsaid = 0;
  };
  const nothing = (): void => undefined;
  return { error: complain, warn: complain, info: nothing, debug: nothing, verbose: nothing };
}

/** The SDK tells of an error as the JSON of all its properties, the stack among them. */
function gist(text: string): string {
  try {
    const { message, code } = JSON.parse(text) as { message?: unknown; code?: unknown };
    return [code, message]
      .filter((part) => typeof part === 'string')
      .join(': ')
      .slice(0, COMPLAINT_MAX);
  } catch {
    return text.slice(0, COMPLAINT_MAX); // a sentence
  }
}
