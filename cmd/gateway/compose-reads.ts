import { readFileSync } from 'node:fs';
import type { Express } from 'express';
import type { RateLimiter } from '../../pkg/admission/port.js';
import type { KeyRing } from '../../pkg/games/port.js';
import { DEFAULT_GAME_ID } from '../../pkg/games/seed.js';
import { createSessionRevocationStore } from '../../pkg/games/sessions/postgres.js';
import { createAddressBudget } from '../../pkg/ingest/address-budget.js';
import { createAuthenticate } from '../../pkg/ingest/authenticate.js';
import type { ClientAddress } from '../../pkg/ingest/client-address.js';
import { Credentials } from '../../pkg/ingest/credentials.js';
import { publicLimits, type IngestLimits } from '../../pkg/ingest/limits.js';
import { postgresBoardReader } from '../../pkg/leaderboard/read.postgres.js';
import { redisBoardView } from '../../pkg/leaderboard/redis.js';
import { createProgressionReads, isReceiptRevoked } from '../../pkg/progression/queries.postgres.js';
import { verifyReceipt } from '../../pkg/progression/receipts.js';
import { createAccess } from '../../pkg/query/access.js';
import { createApp } from '../../pkg/query/app.js';
import { createBoardQueries } from '../../pkg/query/boards.js';
import { boundedReader } from '../../pkg/query/bounded-reader.js';
import { documentRoutes } from '../../pkg/query/document-routes.js';
import { ingestPlaces } from '../../pkg/query/ingest-places.js';
import { leaderboardRoutes } from '../../pkg/query/leaderboard-routes.js';
import { playerRoutes } from '../../pkg/query/player-routes.js';
import { receiptRoutes } from '../../pkg/query/receipt-routes.js';
import type { Routes } from '../../pkg/query/serve.js';
import { serviceRoutes } from '../../pkg/query/service-routes.js';
import { sessionRoutes } from '../../pkg/query/session-routes.js';
import { createSessions } from '../../pkg/query/sessions.js';
import { RECEIPT_ISSUER, type Platform } from '../platform.js';
import type { Metrics } from '../../pkg/runtime/port.js';

const API_DOCUMENT = new URL('../../api/openapi.yaml', import.meta.url);

/** What the reads share with the way in. */
export interface Front {
  readonly keyRing: KeyRing;
  readonly limits: IngestLimits;
  readonly addressLimiter: RateLimiter;
  readonly clientAddress: ClientAddress;
}

type Parts = Pick<
  Platform,
  'db' | 'redis' | 'life' | 'clock' | 'random' | 'logger' | 'health' | 'definitions' | 'receiptKeys'
> & {
  readonly metrics: Metrics;
  readonly config: { readonly http: Pick<Platform['config']['http'], 'corsOrigins' | 'signedPathPrefix'> };
};

/** Everything that the gateway serves by Express. */
export function composeReads(parts: Parts, front: Front): Express {
  const { clock, random, logger, config } = parts;
  return createApp({
    logger,
    clock,
    random,
    corsOrigins: config.http.corsOrigins,
    takeAddressBudget: createAddressBudget(
      front.addressLimiter,
      front.limits.addressRate,
      front.clientAddress,
    ),
    routes: readRoutes(parts, front),
  });
}

/** All places of the gateway, in the order in which they are mounted. */
export function readRoutes(parts: Parts, { keyRing, limits }: Front): readonly Routes[] {
  const { config, db, redis, clock, random, logger, health, definitions, receiptKeys } = parts;
  const access = createAccess({
    authenticate: createAuthenticate({
      credentials: new Credentials(keyRing, limits.sessionSecrets, parts.metrics),
      signedPathPrefix: config.http.signedPathPrefix,
    }),
    keyRing,
    defaultGameId: DEFAULT_GAME_ID,
  });
  const reads = createProgressionReads(db, definitions);
  const boards = createBoardQueries({
    definitions,
    reader: boundedReader(postgresBoardReader(db)),
    view: redis === null ? null : redisBoardView(redis, logger, parts.life),
    clock,
  });
  const revocations = createSessionRevocationStore(db);
  const authority = {
    issuer: RECEIPT_ISSUER,
    publicKey: (kid: string) => receiptKeys.publicKey(kid),
    isRevoked: (gameId: string, receiptId: string) => isReceiptRevoked(db, gameId, receiptId),
  };
  return [
    serviceRoutes({
      access,
      definitions,
      keyRing,
      clock,
      limits: publicLimits(limits),
      readiness: () => health.readiness(),
    }),
    documentRoutes(readFileSync(API_DOCUMENT, 'utf8')),
    ingestPlaces,
    leaderboardRoutes({ access, boards, definitions, clock }),
    playerRoutes(access, reads),
    receiptRoutes({ access, reads, keys: receiptKeys, verify: (jws) => verifyReceipt(jws, authority) }),
    sessionRoutes({
      access,
      sessions: createSessions({ keyRing, revocations, clock, random }),
      keyRing,
    }),
  ];
}
