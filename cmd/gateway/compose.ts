import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MemoryIdempotencyStore, MemoryRateLimiter } from '../../pkg/admission/memory.js';
import { RedisIdempotencyStore, RedisRateLimiter } from '../../pkg/admission/redis.js';
import type { Bus } from '../../pkg/bus/port.js';
import { createSessionRevocationStore } from '../../pkg/games/sessions/postgres.js';
import { createAuthenticate } from '../../pkg/ingest/authenticate.js';
import { budgetKey, createClientAddress } from '../../pkg/ingest/client-address.js';
import { Credentials } from '../../pkg/ingest/credentials.js';
import { DEFAULT_INGEST_LIMITS, publicLimits, type IngestLimits } from '../../pkg/ingest/limits.js';
import { createIngestListener } from '../../pkg/ingest/listener.js';
import { createServerOptions, limitConnections } from '../../pkg/ingest/server-options.js';
import { redisBoardView } from '../../pkg/leaderboard/redis.js';
import { postgresBoardReader } from '../../pkg/leaderboard/read.postgres.js';
import { createProgressionReads, isReceiptRevoked } from '../../pkg/progression/queries.postgres.js';
import { verifyReceipt } from '../../pkg/progression/receipts.js';
import { createAccess } from '../../pkg/query/access.js';
import { createApp } from '../../pkg/query/app.js';
import { createBoardQueries } from '../../pkg/query/boards.js';
import { leaderboardRoutes } from '../../pkg/query/leaderboard-routes.js';
import { playerRoutes } from '../../pkg/query/player-routes.js';
import { receiptRoutes } from '../../pkg/query/receipt-routes.js';
import { serviceRoutes } from '../../pkg/query/service-routes.js';
import { sessionRoutes } from '../../pkg/query/session-routes.js';
import { createSessions } from '../../pkg/query/sessions.js';
import { DEFAULT_GAME_ID } from '../../pkg/games/seed.js';
import { openKeyRing, RECEIPT_ISSUER, type Platform } from '../platform.js';

const API_DOCUMENT = new URL('../../api/openapi.yaml', import.meta.url);

export interface Gateway {
  readonly port: number;
}

/** The gateway: the ingest listener in front, Express for everything else, one port. */
export async function composeGateway(platform: Platform, bus: Bus): Promise<Gateway> {
  const { config, db, redis, clock, random, logger, metrics, lifecycle, health, definitions } = platform;
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

  const access = createAccess({
    authenticate: createAuthenticate({
      credentials: new Credentials(keyRing, limits.sessionSecrets),
      clock,
      signedPathPrefix: config.http.signedPathPrefix,
    }),
    takeAddressBudget: async (request) => {
      if (limits.addressRate === null) return { allowed: true, retryAfterSeconds: 0 };
      return localLimiter.take(`address:${budgetKey(clientAddress(request))}`, 1, limits.addressRate);
    },
    keyRing,
    defaultGameId: DEFAULT_GAME_ID,
  });
  const reads = createProgressionReads(db, definitions);
  const boards = createBoardQueries({
    definitions,
    reader: postgresBoardReader(db),
    view: redis === null ? null : redisBoardView(redis, logger),
    clock,
  });
  const authority = {
    issuer: RECEIPT_ISSUER,
    publicKey: (kid: string) => platform.receiptKeys.publicKey(kid),
    isRevoked: (gameId: string, receiptId: string) => isReceiptRevoked(db, gameId, receiptId),
  };
  const app = createApp({
    logger,
    corsOrigins: config.http.corsOrigins,
    routes: [
      serviceRoutes({
        access,
        definitions,
        keyRing,
        clock,
        limits: publicLimits(limits),
        readiness: () => health.readiness(),
        apiDocument: readFileSync(API_DOCUMENT, 'utf8'),
      }),
      leaderboardRoutes({ access, boards, definitions, clock }),
      playerRoutes(access, reads),
      receiptRoutes({
        access,
        reads,
        keys: platform.receiptKeys,
        verify: (jws) => verifyReceipt(jws, authority),
      }),
      sessionRoutes(
        access,
        createSessions({ keyRing, revocations: createSessionRevocationStore(db), clock, random }),
      ),
    ],
  });

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
