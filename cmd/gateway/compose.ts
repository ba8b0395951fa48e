import { createServer } from 'node:http';
import { MemoryIdempotencyStore, MemoryRateLimiter } from '../../pkg/admission/memory.js';
import { RedisIdempotencyStore, RedisRateLimiter } from '../../pkg/admission/redis.js';
import type { Bus } from '../../pkg/bus/port.js';
import { createSessionRevocationStore } from '../../pkg/games/sessions/postgres.js';
import { createClientAddress } from '../../pkg/ingest/client-address.js';
import { DEFAULT_INGEST_LIMITS, type IngestLimits } from '../../pkg/ingest/limits.js';
import { createIngestListener } from '../../pkg/ingest/listener.js';
import { createServerOptions, limitConnections } from '../../pkg/ingest/server-options.js';
import { listen } from '../listen.js';
import { openKeyRing, refreshInBackground, type Platform } from '../platform.js';
import { composeReads } from './compose-reads.js';
import { composeLoad } from './compose-load.js';
import { composeRefusals } from './compose-refusals.js';
import { createDrain } from './drain.js';

export interface Gateway {
  readonly port: number;
}

/** The gateway: the ingest listener in front, Express for everything else, one port. */
export async function composeGateway(platform: Platform, bus: Bus): Promise<Gateway> {
  const { config, redis, clock, random, logger, metrics, tracer, lifecycle, definitions } = platform;
  const keyRing = await openKeyRing(platform);
  const localLimiter = new MemoryRateLimiter({ clock });
  const shared = redis === null ? null : { redis, clock, metrics };
  const limits = limitsOf(config);
  const load = await composeLoad(platform, bus);
  const clientAddress = createClientAddress(config.http.trustProxy);

  const ingest = createIngestListener({
    keyRing,
    definitions,
    bus: load.bus,
    loadGate: load.gate,
    refusals: composeRefusals(platform),
    addressLimiter: localLimiter,
    limiter: shared === null ? localLimiter : new RedisRateLimiter({ ...shared, whileAway: 'limit locally' }),
    idempotency:
      shared === null
        ? new MemoryIdempotencyStore({ clock, random })
        : new RedisIdempotencyStore({ ...shared, random, life: platform.life }),
    clock,
    random,
    metrics,
    logger,
    tracer,
    limits,
    clientAddress,
    signedPathPrefix: config.http.signedPathPrefix,
    corsOrigins: config.http.corsOrigins,
  });

  const app = composeReads(platform, { keyRing, limits, addressLimiter: localLimiter, clientAddress });
  const server = createServer(createServerOptions(), (request, response) => {
    drain.prepare(response);
    if (!ingest(request, response)) app(request, response);
  });
  const drain = createDrain({ server, clock, logger, stopping: lifecycle.stopping });
  limitConnections(server);
  forgetRevocations(platform);
  lifecycle.onStop('http server', () => drain.close());
  const port = await listen(server, config.http.host, config.http.port, 'PORT');
  logger.info({ host: config.http.host, port }, 'listening');
  return { port };
}

const BURST_SECONDS = 1;

function limitsOf({ limits: { eventsPerSecond }, overload }: Platform['config']): IngestLimits {
  const keyRate =
    eventsPerSecond === null
      ? null
      : {
          rate: eventsPerSecond,
          burst: Math.max(DEFAULT_INGEST_LIMITS.maxEvents, eventsPerSecond * BURST_SECONDS),
        };
  return {
    ...DEFAULT_INGEST_LIMITS,
    maxWork: overload.workMax,
    maxPublishWaitMs: overload.publishWaitMaxMs,
    keyRate,
    addressRate: eventsPerSecond === null ? null : DEFAULT_INGEST_LIMITS.addressRate,
  };
}

const FORGET_EVERY_MS = 3_600_000;

/** Revocations of sessions that have all run out; every gateway does it, and it is the same to the others. */
function forgetRevocations(platform: Platform): void {
  const { db, clock } = platform;
  const store = createSessionRevocationStore(db);
  const forget = async (): Promise<void> => {
    while ((await store.dropExpired(clock.now())) > 0);
  };
  refreshInBackground('session revocations that ran out', forget, FORGET_EVERY_MS, platform);
}
