import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
} from 'prom-client';
import type { Health } from './health.js';
import type { Metrics } from './port.js';
import { listenError } from './port-taken.js';

/** The instruments of a process and their text form. */
export interface MetricsRegistry extends Metrics {
  /** Prometheus text format 0.0.4. */
  render(): Promise<string>;
  readonly contentType: string;
}

/** A registry of its own: two in one process (tests, the all-in-one) do not meet. */
export function createMetrics(options: { readonly processMetrics: boolean }): MetricsRegistry {
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const made = new Map<string, unknown>();
  const once = <T>(name: string, make: () => T): T => {
    if (!made.has(name)) made.set(name, make());
    return made.get(name) as T;
  };
  return {
    counter: (name, help, labelNames = []) =>
      once(name, () => {
        const counter = new PromCounter({ name, help, labelNames: [...labelNames], registers });
        return { inc: (labels = {}, by = 1) => counter.inc(labels, by) };
      }),
    gauge: (name, help, labelNames = []) =>
      once(name, () => {
        const gauge = new PromGauge({ name, help, labelNames: [...labelNames], registers });
        return { set: (value, labels = {}) => gauge.set(labels, value) };
      }),
    histogram: (name, help, buckets, labelNames = []) =>
      once(name, () => {
        const settings = { name, help, buckets: [...buckets], labelNames: [...labelNames], registers };
        const histogram = new PromHistogram(settings);
        return { observe: (value, labels = {}) => histogram.observe(labels, value) };
      }),
    render: () => registry.metrics(),
    contentType: registry.contentType,
  };
}

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 5_000;
const CONNECTIONS_MAX = 32;

/**
 * Serves GET /metrics, /healthz and /readyz on a port of its own (0: any free one); for a worker, its only one.
 *
 * @throws FairtallyError `port_taken`, or the listener's error
 */
export function startMetricsServer(
  metrics: MetricsRegistry,
  host: string,
  port: number,
  health: Health,
): Promise<MetricsServer> {
  const options = { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS };
  const server = createServer(options, (request, response) => {
    answer(request, metrics, health).then(
      ({ status, type, text }) => response.writeHead(status, { 'content-type': type }).end(text),
      () => response.writeHead(500).end(), // the scraper sees it, and alerts on a failed scrape
    );
  });
  server.maxConnections = CONNECTIONS_MAX;
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => reject(listenError(error, host, port, 'METRICS_PORT'));
    server.once('error', refuse);
    server.listen(port, host, () => {
      server.off('error', refuse);
      resolve({
        port: (server.address() as AddressInfo).port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            server.closeAllConnections();
          }),
      });
    });
  });
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

async function answer(request: IncomingMessage, metrics: MetricsRegistry, health: Health): Promise<Answer> {
  const type = 'application/json';
  switch (request.method === 'GET' ? request.url : undefined) {
    case '/metrics':
      return { status: 200, type: metrics.contentType, text: await metrics.render() };
    case '/healthz':
      return { status: 200, type, text: '{"status":"ok"}' };
    case '/readyz': {
      const readiness = await health.readiness();
      return { status: readiness.ready ? 200 : 503, type, text: JSON.stringify(readiness) };
    }
    default:
      return { status: 404, type: 'text/plain', text: '' };
  }
}
