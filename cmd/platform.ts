import { type Redis } from 'ioredis';
import { createDefinitionSource, type RefreshingDefinitions } from '../pkg/games/definitions/postgres.js';
import { createKeyRing, type RefreshingKeyRing } from '../pkg/games/key-ring/postgres.js';
import { createReceiptKeys, type ReceiptKeyStore } from '../pkg/games/receipt-keys/postgres.js';
import { keepFresh } from '../pkg/games/refresh-loop.js';
import { refuseForeignMasterKey } from '../pkg/games/tenants/postgres.js';
import { systemClock, type Clock } from '../pkg/kernel/clock.js';
import { FairtallyError } from '../pkg/kernel/errors.js';
import { systemRandom, type Random } from '../pkg/kernel/random.js';
import { refuseUnsafeRole } from '../pkg/postgres/acting-role.js';
import { createDatabase } from '../pkg/postgres/database.js';
import { LifeWatch } from '../pkg/postgres/life-watch.js';
import { pendingMigrations } from '../pkg/postgres/migrate.js';
import type { Database, KnownLife } from '../pkg/postgres/port.js';
import { createRedisClient, redisReady } from '../pkg/redis/client.js';
import { redisLifeNotes } from '../pkg/redis/life-notes.js';
import { readConfig, type Config } from '../pkg/runtime/config.js';
import { createHealth, type Health } from '../pkg/runtime/health.js';
import { createLifecycle, type Lifecycle } from '../pkg/runtime/lifecycle.js';
import { createLogger } from '../pkg/runtime/log.js';
import { createMetrics, type MetricsRegistry } from '../pkg/runtime/metrics.js';
import { tellingOutages } from '../pkg/runtime/outage-log.js';
import type { Logger, Tracer } from '../pkg/runtime/port.js';
import { masterKeyText } from '../pkg/runtime/secret-files.js';
import { createSealer, parseMasterKeys } from '../pkg/secrets/seal.js';
import type { Sealer } from '../pkg/secrets/port.js';
import { startTracing } from '../pkg/runtime/tracing.js';
import { codeVersion } from '../pkg/runtime/version.js';
import { createDeadLetters } from '../pkg/worker/dead-letters/postgres.js';
import type { DeadLetters } from '../pkg/worker/port.js';

/** The `iss` of every receipt. */
export const RECEIPT_ISSUER = 'fairtally';

/** What every process begins with, before it opens anything. */
export interface Process {
  readonly name: string;
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
  readonly health: Health;
  readonly lifecycle: Lifecycle;
}

/** What gateway, worker and command line share: the database, secrets, definitions, and Redis where there is one. */
export interface Platform extends Process {
  /** null: no traces are made. */
  readonly tracer: Tracer | null;
  readonly databaseUrl: string;
  readonly db: Database;
  readonly redis: Redis | null;
  readonly life: KnownLife;
  readonly sealer: Sealer;
  readonly definitions: RefreshingDefinitions;
  readonly receiptKeys: ReceiptKeyStore;
  readonly deadLetters: DeadLetters;
}

const DEFINITIONS_EVERY_MS = 1_000;
const KEYS_EVERY_MS = 2_000;
const LIFE_EVERY_MS = 2_000;
const REDIS_WAIT_MS = 2_000;
const SECRETS_NAMED = 20;
const GAMES_NAMED = 10;

/** Somebody waits for what a gateway asks; a worker's batches may take longer. The client gives up a little after the server. */
const GATEWAY_TIMEOUTS = { statementTimeoutMs: 8_000, queryTimeoutMs: 10_000 };
/** Redis saves a gateway time: one that takes longer than PostgreSQL does is done without. */
const GATEWAY_REDIS_PATIENCE_MS = 900;
const WORKER_TIMEOUTS = { statementTimeoutMs: 30_000, queryTimeoutMs: 35_000 };

/** Reads the environment. @throws ConfigError */
export function createProcess(
  name: string,
  config: Config = readConfig(),
  destination?: { write(text: string): void },
): Process {
  const logger = createLogger(config.log.level, destination);
  const lifecycle = createLifecycle({
    clock: systemClock,
    logger,
    process,
    isSupervised: process.channel !== undefined,
  });
  stopWithParent(lifecycle);
  return {
    name,
    config,
    clock: systemClock,
    random: systemRandom,
    logger: tellingOutages(logger, systemClock, lifecycle.stopping),
    metrics: createMetrics({ processMetrics: true }),
    health: createHealth(systemClock),
    lifecycle,
  };
}

/** A child of the all-in-one ends when its parent is gone, even by SIGKILL: the channel between them closes then. */
function stopWithParent(lifecycle: Lifecycle): void {
  if (process.channel === undefined) return;
  process.once('disconnect', () => lifecycle.stop('the parent process is gone'));
  process.channel.unref();
}

/** Tells the all-in-one, if this is a child of it, that the process is ready. */
export function tellReady({ health, logger, name }: Process): void {
  health.started();
  logger.info({}, `${name} is ready`);
  process.send?.('ready');
}

/** Opens the shared parts. Everything opened registers its own release. @throws FairtallyError `no_database`, `migrations_pending`, `unsafe_database_role`, `foreign_master_key` */
export async function openPlatform(process: Process): Promise<Platform> {
  const { config, clock, random, logger, lifecycle, health, name } = process;
  const { databaseUrl, redisUrl } = config.storage;
  if (databaseUrl === null) {
    throw new FairtallyError(
      'no_database',
      `DATABASE_URL: the ${name} needs it; only the all-in-one brings its own PostgreSQL`,
    );
  }
  const isWaitedFor = name === 'gateway' || name === 'admin';
  const tracer = await openTracer(process);
  const db = createDatabase({
    url: databaseUrl,
    applicationName: `fairtally ${name}`,
    ...(isWaitedFor ? GATEWAY_TIMEOUTS : WORKER_TIMEOUTS),
    // What a request of the admin API asks goes another way (cmd/admin/compose.ts); this is for what knows all games.
    role: 'fairtally_worker',
    onIdleError: (error) => logger.warn({ err: error }, 'an idle database connection broke'),
  });
  lifecycle.onStop('database', () => db.close());
  health.addCheck('postgres', async () => {
    await db.query('SELECT 1');
  });
  await refuseUnsafeRole(db, 'fairtally_worker');
  await refusePending(db);

  const redis =
    redisUrl === null
      ? null
      : createRedisClient({
          url: redisUrl,
          connectionName: `fairtally-${name}`,
          ...(isWaitedFor ? { patienceMs: GATEWAY_REDIS_PATIENCE_MS } : {}),
        });
  if (redis !== null) lifecycle.onStop('redis', () => redis.disconnect());

  const life = await openLife(process, db, redis);
  const sealer = createSealer(parseMasterKeys(masterKeyText(config, random)), random);
  await refuseForeignMasterKey(db, sealer);
  const definitions = createDefinitionSource(db);
  refreshInBackground('definitions', definitions.refresh, DEFINITIONS_EVERY_MS, { clock, logger, lifecycle });
  const receiptKeys = createReceiptKeys(db, sealer);
  refreshInBackground('receipt keys', receiptKeys.refresh, KEYS_EVERY_MS, { clock, logger, lifecycle });
  const deadLetters = createDeadLetters({ db, codeVersion: codeVersion(), metrics: process.metrics });
  return { ...process, tracer, databaseUrl, db, redis, life, sealer, definitions, receiptKeys, deadLetters };
}

/** Which life of the database this process works in: it ends with it, because it remembers things (docs/operations.md). */
async function openLife(process: Process, db: Database, redis: Redis | null): Promise<KnownLife> {
  const { logger, lifecycle } = process;
  const watch = new LifeWatch({ db, notes: redis === null ? null : redisLifeNotes(redis), logger });
  if (redis !== null) await redisReady(redis, REDIS_WAIT_MS).catch(() => undefined); // it may come later, or never
  await watch.look();
  const look = async (): Promise<void> => {
    if ((await watch.look()) && !lifecycle.stopping.aborted)
      lifecycle.fail(
        'the database was restored: this process remembers what was before, and is to be started again',
        new FairtallyError('database_restored', 'the database has another life than at the start'),
      );
  };
  refreshInBackground('the life of the database', look, LIFE_EVERY_MS, process);
  return watch.known;
}

/** Traces are sent where a collector is named; its end comes after everything that makes spans. */
async function openTracer({ config, clock, logger, lifecycle, name }: Process): Promise<Tracer | null> {
  const { otlpEndpoint, serviceName } = config.tracing;
  if (otlpEndpoint === null) return null;
  const service = serviceName ?? `fairtally-${name.replaceAll(' ', '-')}`;
  const tracing = await startTracing({ otlpEndpoint, serviceName: service, clock, logger });
  lifecycle.onStop('traces', () => tracing.close());
  return tracing.tracer;
}

/** Keys, games and revocations, read once before this returns and then every two seconds. */
export async function openKeyRing(platform: Platform): Promise<RefreshingKeyRing> {
  const { db, sealer, clock, logger, lifecycle } = platform;
  const onOverfull = (games: readonly string[]): void =>
    logger.error(
      { games: games.slice(0, GAMES_NAMED) },
      'too many sessions are revoked: every session of these games is refused; revoke by player or by key instead',
    );
  const ring = createKeyRing({
    database: db,
    sealer,
    clock,
    onOverfull,
    onUnreadable: (secrets) => tellUnreadable(secrets, logger),
  });
  await ring.refresh();
  refreshInBackground('keys', ring.refresh, KEYS_EVERY_MS, { clock, logger, lifecycle });
  return ring;
}

/** An operator reads this once per process and secret; a key that is ended is not told of any more. */
export function tellUnreadable(secrets: readonly string[], logger: Logger): void {
  logger.error(
    { code: 'secret_unreadable', count: secrets.length, secrets: secrets.slice(0, SECRETS_NAMED) },
    'these secrets were sealed with a master key that is not in MASTER_KEY, and count as unknown: put that key behind the others ' +
      'there and restart, or end a signing key with `fairtally keys retire <key>` and make another',
  );
}

async function refusePending(db: Database): Promise<void> {
  const pending = await pendingMigrations(db);
  if (pending.length === 0) return;
  throw new FairtallyError(
    'migrations_pending',
    `the database lacks ${pending.join(', ')}: run \`fairtally migrate\` first`,
  );
}

/** Runs `refresh` now and then until the process stops, and waits for the last one. */
export function refreshInBackground(
  name: string,
  refresh: () => Promise<void>,
  everyMs: number,
  { clock, logger, lifecycle }: Pick<Process, 'clock' | 'logger' | 'lifecycle'>,
): void {
  const onError = (error: unknown): void =>
    logger.warn({ err: error, refresh: name }, 'a refresh failed; what is known stays in use');
  const loop = keepFresh(refresh, { everyMs, clock, signal: lifecycle.stopping, onError });
  lifecycle.onStop(`refresh of ${name}`, () => loop);
}
