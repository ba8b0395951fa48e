/** Structured log lines; the shape of pino's logger that rooms use. Fields first, then a sentence. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  inc(labels?: Labels, by?: number): void;
}
export interface Gauge {
  set(value: number, labels?: Labels): void;
}
export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/** Prometheus instruments. Asking twice for one name gives the same instrument. Label values must come from a bounded set. */
export interface Metrics {
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  gauge(name: string, help: string, labelNames?: readonly string[]): Gauge;
  histogram(
    name: string,
    help: string,
    buckets: readonly number[],
    labelNames?: readonly string[],
  ): Histogram;
}

export type SpanAttributes = Readonly<Record<string, string | number>>;

export interface SpanStart {
  /** From a bounded set. */
  readonly name: string;
  readonly kind: 'server' | 'producer' | 'consumer';
  /** The traceparent of what caused it; null: it begins a trace of its own. */
  readonly parent: string | null;
  /** Traceparents of what else led to it; those beyond a limit are left out. */
  readonly links?: readonly string[];
  /** Names of the OpenTelemetry semantic conventions. Never a payload, a player or a secret. */
  readonly attributes: SpanAttributes;
}

/** A piece of work that a trace tells of. */
export interface Span {
  /** For what it causes: the traceparent that a child has as its parent. */
  readonly traceparent: string;
  /** @param failure a stable code, when the work failed */
  end(attributes: SpanAttributes, failure?: string): void;
}

/** Makes spans. Never throws and never waits: what cannot be sent is dropped. Where traces are off there is none. */
export interface Tracer {
  start(start: SpanStart): Span;
}
