import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Express, Request } from 'express';
import { MemoryRateLimiter } from '../../pkg/admission/memory.js';
import type { RateRule } from '../../pkg/admission/port.js';
import { RedisRateLimiter } from '../../pkg/admission/redis.js';
import { createAdminApp } from '../../pkg/admin/api/app.js';
import { readApiDocument } from '../../pkg/admin/api/document.js';
import { dashboard } from '../../pkg/admin/dashboard.js';
import { createGameDatabase } from '../../pkg/admin/game-database.postgres.js';
import { createAccess } from '../../pkg/admin/sign-in/access.js';
import { createAccessTokens } from '../../pkg/admin/sign-in/access-tokens.js';
import { KEYS_EVERY_MS, openTokenKeys } from '../../pkg/admin/sign-in/token-keys.postgres.js';
import { sessionAccess } from '../../pkg/admin/sign-in/users.postgres.js';
import { createAddressBudget } from '../../pkg/ingest/address-budget.js';
import { budgetKey, createClientAddress } from '../../pkg/ingest/client-address.js';
import {
  createServerOptions,
  DEFAULT_SLOW_CLIENT_LIMITS,
  limitConnections,
  type SlowClientLimits,
} from '../../pkg/ingest/server-options.js';
import type { Bus } from '../../pkg/bus/port.js';
import { keepMinutes } from '../../pkg/admin/resources/pipeline-minutes.postgres.js';
import { refuseUnsafeRole } from '../../pkg/postgres/acting-role.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { createDrain } from '../gateway/drain.js';
import { listen } from '../listen.js';
import { refreshInBackground, tellUnreadable, type Platform } from '../platform.js';
import { adminRoutes, type AdminParts } from './compose-routes.js';
import { forgetOldSessions } from './forget-sessions.js';
import { health } from './health.js';
import { sendReplays } from './send-replays.js';

const API_DOCUMENT = new URL('../../api/admin.yaml', import.meta.url);
/** Where the build puts it; the sources have none. */
const DASHBOARD = fileURLToPath(new URL('../../web/', import.meta.url));
const CONNECTIONS = 10;
/** A page of the dashboard asks a dozen things at once, and an office may be one address. */
const ADDRESS_RATE: RateRule = { rate: 100, burst: 400 };

/**
 * Node has one such time for all requests of a server, and a recording of 16 MiB may come by a slow line (1.2 Mbit/s): it is that
 * of recordings, of which few come at once. `endSlowBodies` keeps every other request to 15 s, and heads have their 5 s here.
 */
const SLOW_CLIENTS: SlowClientLimits = {
  ...DEFAULT_SLOW_CLIENT_LIMITS,
  requestTimeoutMs: 120_000,
  maxConnections: 2_000,
};

/** The admin API and the dashboard, on one port. */
export async function composeAdmin(platform: Platform, bus: Bus): Promise<{ readonly port: number }> {
  const { config, clock, random, logger, lifecycle } = platform;
  const parts = await openParts(platform, bus);
  const app = createAdminApp({
    document: readApiDocument(readFileSync(API_DOCUMENT, 'utf8')),
    routes: adminRoutes(parts),
    games: parts.games,
    access: createAccess(parts.tokens, (sessionId, gameId) => sessionAccess(parts.apiDb, sessionId, gameId)),
    takeAddressBudget: createAddressBudget(parts.limiter, ADDRESS_RATE, parts.clientAddress),
    clientAddress: (request: Request) => parts.clientAddress(request),
    origin: config.admin.origin,
    mounts: [health(platform.health), dashboard(DASHBOARD, random)],
    logger,
    clock,
    random,
  });
  const port = await serve(app, platform);
  forgetOldSessions(parts, platform);
  sendReplays(platform);
  const minutes = keepMinutes({ db: platform.db, clock, log: logger }, lifecycle.stopping);
  lifecycle.onStop('minutes of the pipeline', () => minutes);
  logger.info({ host: config.http.host, port }, 'listening');
  lifecycle.onStop('admin database', () => parts.apiDb.close());
  return { port };
}

async function openParts(platform: Platform, bus: Bus): Promise<AdminParts> {
  const { config, databaseUrl, redis, sealer, clock, random, logger, metrics } = platform;
  const apiDb = createDatabase({
    url: databaseUrl,
    role: 'fairtally_api',
    poolSize: CONNECTIONS,
    applicationName: 'fairtally admin api',
    statementTimeoutMs: 8_000,
    queryTimeoutMs: 10_000,
    onIdleError: (error) => logger.warn({ err: error }, 'an idle database connection broke'),
  });
  await refuseUnsafeRole(apiDb, 'fairtally_api');
  const localLimiter = new MemoryRateLimiter({ clock });
  const limits = { clock, metrics, whileAway: 'limit locally' } as const;
  const shared = redis === null ? null : new RedisRateLimiter({ redis, ...limits });
  const games = createGameDatabase(apiDb, clock);
  const tokenKeys = await openTokenKeys({
    games,
    sealer,
    random,
    clock,
    onUnreadable: (secrets) => tellUnreadable(secrets, logger),
  });
  refreshInBackground('keys of access tokens', tokenKeys.refresh, KEYS_EVERY_MS, platform);
  return {
    platform,
    bus,
    apiDb,
    games,
    tokenKeys,
    tokens: createAccessTokens(tokenKeys, clock),
    limiter: shared ?? localLimiter,
    strictLimiter: shared?.refusing() ?? localLimiter,
    clientAddress: createClientAddress(config.http.trustProxy),
    addressKey: budgetKey,
  };
}

async function serve(app: Express, { config, clock, logger, lifecycle }: Platform): Promise<number> {
  const server = createServer(createServerOptions(SLOW_CLIENTS), (request, response) => {
    drain.prepare(response);
    app(request, response);
  });
  const drain = createDrain({ server, clock, logger, stopping: lifecycle.stopping });
  limitConnections(server, SLOW_CLIENTS);
  lifecycle.onStop('http server', () => drain.close());
  return listen(server, config.http.host, config.admin.port, 'ADMIN_PORT');
}
