import type { Server, ServerOptions } from 'node:http';

/** How long slow clients are borne. `connectionsCheckingIntervalMs` is how late Node may notice. */
export interface SlowClientLimits {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly connectionsCheckingIntervalMs: number;
  /** Longer than the idle time of the load balancer in front, or it meets connections that just closed. */
  readonly keepAliveTimeoutMs: number;
  readonly maxHeaderBytes: number;
  readonly maxConnections: number;
}

export const DEFAULT_SLOW_CLIENT_LIMITS: SlowClientLimits = {
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 15_000,
  connectionsCheckingIntervalMs: 1_000,
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 16 * 1024,
  maxConnections: 10_000,
};

/** Options for http.createServer. A client that is too slow gets Node's own 408. */
export const createServerOptions = (
  limits: SlowClientLimits = DEFAULT_SLOW_CLIENT_LIMITS,
): ServerOptions => ({
  headersTimeout: limits.headersTimeoutMs,
  requestTimeout: limits.requestTimeoutMs,
  connectionsCheckingInterval: limits.connectionsCheckingIntervalMs,
  keepAliveTimeout: limits.keepAliveTimeoutMs,
  maxHeaderSize: limits.maxHeaderBytes,
  keepAlive: true,
  noDelay: true,
});

/** What http.createServer takes no option for. */
export function limitConnections(
  server: Server,
  limits: SlowClientLimits = DEFAULT_SLOW_CLIENT_LIMITS,
): void {
  server.maxConnections = limits.maxConnections;
}
