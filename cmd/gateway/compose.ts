import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryIdempotencyStore, MemoryRateLimiter } from '../../pkg/admission/memory.js';
import { RedisIdempotencyStore, RedisRateLimiter } from '../../pkg/admission/redis.js';
import type { Bus } from '../../pkg/bus/port.js';
import { createClientAddress } from '../../pkg/ingest/client-address.js';
import { DEFAULT_INGEST_LIMITS, type IngestLimits } from '../../pkg/ingest/limits.js';
import { createIngestListener } from '../../pkg/ingest/listener.js';
import { createServerOptions, limitConnections } from '../../pkg/ingest/server-options.js';
import { openKeyRing, type Platform } from '../platform.js';
import { composeReads } from './compose-reads.js';

export interface Gateway {
  readonly port: number;
}

/** The gateway: the ingest listener in front, Express for everything else, one port. */
export async function composeGateway(platform: Platform, bus: Bus): Promise<Gateway> {
  const { config, redis, clock, random, logger, metrics, lifecycle, definitions } = platform;
  const keyRing = await openKeyRing(platform);
  const localLimiter = new MemoryRateLimiter({ clock });
  const shared = redis === null ? null : { redis, clock, metrics };
  const limits = limitsOf(config.limits.eventsPerSecond);
  const clientAddress = createClientAddress(config.http.trustProxy);

  const ingest = createIngestListener({
    keyRing,
    definitions,
    bus,
    addressLimiter: localLimiter,
    limiter: shared === null ? localLimiter : new RedisRateLimiter(shared),
    idempotency:
      shared === null
        ? new MemoryIdempotencyStore({ clock, random })
        : new RedisIdempotencyStore({ ...shared, random }),
    clock,
    random,
    metrics,
    logger,
    limits,
    clientAddress,
    signedPathPrefix: config.http.signedPathPrefix,
    corsOrigins: config.http.corsOrigins,
  });

  const app = composeReads(platform, { keyRing, limits, addressLimiter: localLimiter, clientAddress });
  const server = createServer(createServerOptions(), (request, response) => {
    if (!ingest(request, response)) app(request, response);
  });
  limitConnections(server);
  lifecycle.onStop('http server', () => closeServer(server));
  const port = await listen(server, config.http.host, config.http.port);
  logger.info({ host: config.http.host, port }, 'listening');
  return { port };
}

const BURST_SECONDS = 1;

function limitsOf(eventsPerSecond: number | null): IngestLimits {
  const keyRate =
    eventsPerSecond === null
      ? null
      : {
          rate: eventsPerSecond,
          burst: Math.max(DEFAULT_INGEST_LIMITS.maxEvents, eventsPerSecond * BURST_SECONDS),
        };
  return {
    ...DEFAULT_INGEST_LIMITS,
    keyRate,
    addressRate: eventsPerSecond === null ? null : DEFAULT_INGEST_LIMITS.addressRate,
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Answers what is under way, takes nothing new. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
  });
}
