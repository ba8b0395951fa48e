import type { Redis } from 'ioredis';
import { adminRoutes, type RoutePlatform } from '../../../cmd/admin/compose-routes.js';
import { MemoryRateLimiter } from '../../admission/memory.js';
import { createDefinitionSource } from '../../games/definitions/postgres.js';
import { createReceiptKeys } from '../../games/receipt-keys/postgres.js';
import { systemRandom } from '../../kernel/random.js';
import { redisBoardView } from '../../leaderboard/redis.js';
import { postgresBoardTruth } from '../../leaderboard/truth.postgres.js';
import { BoardView } from '../../leaderboard/view.js';
import { startAdminServer, type AdminServer, type AdminTestParts } from '../admin-server.js';
import { quietLogger, quietMetrics } from '../quiet.js';
import type { SeedParts } from './seed.js';

/** The admin API with every route as cmd/admin makes it, and what a worker and a gateway would put behind it. */
export interface WholeServer extends AdminServer, Pick<SeedParts, 'definitions' | 'receiptKeys' | 'view'> {}

/** Of a database that was never put back. */
const LIFE = 'life';

export async function startWholeServer(redis: Redis): Promise<WholeServer> {
  const made: { platform?: RoutePlatform } = {};
  const stopping = new AbortController();
  const server = await startAdminServer({
    routes: (parts) => {
      made.platform = platformOf(parts, redis, stopping.signal);
      const limiter = new MemoryRateLimiter({ clock: parts.clock });
      return adminRoutes({
        ...parts,
        platform: made.platform,
        bus: { lag: () => Promise.resolve({ waiting: 0, oldestPublishedAtMs: null }) },
        limiter,
        strictLimiter: limiter,
        clientAddress: () => '127.0.0.1',
        addressKey: (address) => address,
      });
    },
  });
  const { platform } = made;
  if (platform === undefined) throw new Error('the server has no routes');
  const { definitions, receiptKeys, clock, logger } = platform;
  const [truth, store] = [postgresBoardTruth(server.db), redisBoardView(redis, logger, () => LIFE)];
  const view = new BoardView({ truth, store, definitions, clock, log: logger });
  const close = async (): Promise<void> => {
    stopping.abort();
    await server.close();
  };
  return { ...server, definitions, receiptKeys, view, close };
}

const platformOf = (
  { db, sealer, clock }: AdminTestParts,
  redis: Redis,
  stopping: AbortSignal,
): RoutePlatform => ({
  db,
  redis,
  life: () => LIFE,
  sealer,
  clock,
  definitions: createDefinitionSource(db),
  receiptKeys: createReceiptKeys(db, sealer),
  random: systemRandom,
  logger: quietLogger,
  metrics: quietMetrics as RoutePlatform['metrics'],
  config: { admin: { origin: null, oidc: null }, bus: { driver: 'postgres' } } as RoutePlatform['config'],
  lifecycle: { stopping },
});
