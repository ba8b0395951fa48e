import { createServer } from 'node:http';
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

interface Page {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const jsonPage = (status: number, value: object): Page => ({
  status,
  type: 'application/json',
  text: JSON.stringify(value),
});

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 5_000;
const CONNECTIONS_MAX = 32;

/**
 * Serves GET /metrics, /healthz and /readyz on a port of its own (0: any free one): what an orchestrator asks, apart from
 * the API that players reach.
 *
 * @throws the listener's error, such as EADDRINUSE
 */
export function startMetricsServer(
  metrics: MetricsRegistry,
  host: string,
  port: number,
  health: Health,
): Promise<MetricsServer> {
  const pages: Readonly<Record<string, () => Promise<Page>>> = {
    '/metrics': async () => ({ status: 200, type: metrics.contentType, text: await metrics.render() }),
    '/healthz': () => Promise.resolve(jsonPage(200, { status: 'ok' })),
    '/readyz': async () => {
      const readiness = await health.readiness();
      return jsonPage(readiness.ready ? 200 : 503, readiness);
    },
  };
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (req, res) => {
      const page = req.method === 'GET' ? pages[req.url ?? ''] : undefined;
      if (page === undefined) {
        res.writeHead(404).end();
        return;
      }
      page().then(
        ({ status, type, text }) => res.writeHead(status, { 'content-type': type }).end(text),
        () => res.writeHead(500).end(), // the scraper sees it, and alerts on a failed scrape
      );
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
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
