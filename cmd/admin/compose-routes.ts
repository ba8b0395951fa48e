import type { RateLimiter } from '../../pkg/admission/port.js';
import type { AdminRoutes } from '../../pkg/admin/api/routes.js';
import { auditRoutes } from '../../pkg/admin/audit-routes.postgres.js';
import type { GameDatabase } from '../../pkg/admin/port.js';
import type { AccessTokens } from '../../pkg/admin/sign-in/access-tokens.js';
import { createCookies } from '../../pkg/admin/sign-in/cookies.js';
import { createDevices } from '../../pkg/admin/sign-in/devices.js';
import { createSignInLimit, createTicketLimit } from '../../pkg/admin/sign-in/limits.js';
import { createOidc, type Oidc } from '../../pkg/admin/sign-in/oidc.js';
import { createPasswords } from '../../pkg/admin/sign-in/passwords.js';
import { openSignInRoutes, ownSessionRoutes } from '../../pkg/admin/sign-in/routes.js';
import { createSignIn } from '../../pkg/admin/sign-in/service.postgres.js';
import type { TokenKeyStore } from '../../pkg/admin/sign-in/token-keys.postgres.js';
import { sessionAccess } from '../../pkg/admin/sign-in/users.postgres.js';
import { streamRoutes } from '../../pkg/admin/stream/routes.js';
import { createTopicSource } from '../../pkg/admin/stream/topics.js';
import { userRoutes } from '../../pkg/admin/users/routes.postgres.js';
import { gameListRoutes } from '../../pkg/admin/resources/game-list.postgres.js';
import { resourceRoutes } from '../../pkg/admin/resources/routes.js';
import type { Bus } from '../../pkg/bus/port.js';
import type { ClientAddress } from '../../pkg/ingest/client-address.js';
import type { Database } from '../../pkg/postgres/port.js';
import type { Platform } from '../platform.js';
import { composeResources } from './compose-resources.js';

/** What the routes take of the platform. */
export interface RoutePlatform extends Pick<
  Platform,
  | 'db'
  | 'redis'
  | 'life'
  | 'sealer'
  | 'definitions'
  | 'receiptKeys'
  | 'clock'
  | 'random'
  | 'logger'
  | 'metrics'
> {
  readonly config: Pick<Platform['config'], 'admin' | 'bus'>;
  readonly lifecycle: Pick<Platform['lifecycle'], 'stopping'>;
}

/** What the routes of the admin API are made of. */
export interface AdminParts {
  /** Its `db` sees all games: for definitions, receipt keys and views, never for what a request names. */
  readonly platform: RoutePlatform;
  /** Acts as fairtally_api. */
  readonly apiDb: Database;
  readonly games: GameDatabase;
  /** To ask how far roles are behind, and nothing else. */
  readonly bus: Pick<Bus, 'lag'>;
  readonly tokens: AccessTokens;
  readonly tokenKeys: TokenKeyStore;
  /** For requests: while Redis is away each process limits alone. */
  readonly limiter: RateLimiter;
  /** For sign-ins and tickets: while Redis is away there are none. Without Redis, the same as `limiter`. */
  readonly strictLimiter: RateLimiter;
  readonly clientAddress: ClientAddress;
  readonly addressKey: (address: string) => string;
}

/** Every route of the admin API, by room. */
export function adminRoutes(parts: AdminParts): AdminRoutes {
  const { platform, apiDb, games, bus, tokens, tokenKeys, strictLimiter, addressKey } = parts;
  const { clock, random, config, definitions, logger, metrics, lifecycle } = platform;
  const passwords = createPasswords();
  const { refreshSecret } = tokenKeys;
  const signIn = {
    signIn: createSignIn({ games, tokens, passwords, refreshSecret, clock, random }),
    oidc: oidcOf(platform),
    cookies: createCookies(config.admin.origin),
    devices: createDevices(refreshSecret, random),
    takeSignIn: createSignInLimit(strictLimiter),
    addressKey,
  };
  const resources = composeResources({ ...platform, games, bus, busName: config.bus.driver });
  const streams = streamRoutes({
    games,
    sql: apiDb,
    sessionAccess: (sessionId, gameId) => sessionAccess(apiDb, sessionId, gameId),
    source: createTopicSource({ games, boards: resources.liveBoards, pipeline: resources, clock, logger }),
    hasBoard: async (gameId, { board, window }) => {
      const windows = (await definitions.inForce(gameId, clock.now()))?.boards.get(board)?.windows ?? [];
      return windows.some(({ kind }) => kind === window);
    },
    takeTicket: createTicketLimit(strictLimiter),
    clock,
    random,
    logger,
    metrics,
    stopping: lifecycle.stopping,
  });
  return {
    anyone: { ...openSignInRoutes(signIn), ...streams.anyone },
    signedIn: { ...ownSessionRoutes(signIn), ...gameListRoutes({ apiDb, definitions, clock }) },
    game: {
      ...userRoutes({ passwords, clock, random, issuer: config.admin.oidc?.issuer ?? null }),
      ...auditRoutes,
      ...resourceRoutes(resources),
      ...streams.game,
    },
  };
}

/** Where the dashboard takes a browser that comes back from the issuer. */
const RETURN_PATH = '/signed-in';

function oidcOf({ config, sealer, clock, random }: RoutePlatform): Oidc | null {
  const { oidc, origin } = config.admin;
  if (oidc === null || origin === null) return null;
  const settings = { ...oidc, redirectUri: `${origin}${RETURN_PATH}` };
  return createOidc({ settings, sealer, clock, random });
}
