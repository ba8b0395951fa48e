import { fileURLToPath } from 'node:url';
import { createDefinitionStore } from '../../pkg/games/definitions/postgres.js';
import { createKeyStore } from '../../pkg/games/keys/postgres.js';
import { describeSeed, ensureGame } from '../../pkg/games/seed.js';
import { createGameStore, refuseForeignMasterKey } from '../../pkg/games/tenants/postgres.js';
import { refuseUnsafeRole } from '../../pkg/postgres/acting-role.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import type { DatabaseRole } from '../../pkg/postgres/database-roles.js';
import { migrate } from '../../pkg/postgres/migrate.js';
import type { Database } from '../../pkg/postgres/port.js';
import { inheritedEnvironment } from '../../pkg/runtime/config.js';
import { removeRunning, writeRunning } from '../../pkg/runtime/running-file.js';
import { demoSecret, masterKeyText } from '../../pkg/runtime/secret-files.js';
import { createSealer, parseMasterKeys } from '../../pkg/secrets/seal.js';
import type { Process } from '../platform.js';
import { makeFirstAdmin } from './admin.js';
import { openEngines, type Engines, type OwnEngines } from './engines.js';
import { freePort, waitForPorts, type WantedPort } from './ports.js';
import { supervise, type ChildPlan } from './supervisor.js';

const SAMPLE = new URL('../../sample_events/', import.meta.url);
export const sampleFile = (name: string): string => fileURLToPath(new URL(name, SAMPLE));
const script = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** Everything in one, ready. */
export interface AllInOne {
  /** Base URL of the HTTP API. */
  readonly url: string;
  /** Base URL of the admin API and the dashboard. */
  readonly adminUrl: string;
  /** Of the first user, made by this start; null: there is somebody already. */
  readonly adminPassword: string | null;
  /** Of the demo key. */
  readonly secret: string;
  readonly engines: Engines;
  /** What could be killed: its process, or null while it is between two lives or not ours. */
  pidOf(part: 'gateway' | 'worker' | 'admin' | 'postgres' | 'redis'): number | null;
}

export interface AllInOneOptions {
  /** Takes what the children print; null: they print where this process does. */
  readonly writeLog: ((text: string) => void) | null;
  /** Variables of the children's environment beside what they inherit and what this decides. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Whether a person sees what is printed: secrets that are told once go there and into no file. */
  readonly isTerminal?: boolean;
  /**
   * The engines stand and gateway, worker and dashboard begin: the moment to show the password of a first user, which nobody
   * learns any more when the rest of the start fails. null: there is somebody already.
   */
  readonly onStarting?: (adminPassword: string | null) => void;
}

/** Starts PostgreSQL and Redis where none are named, prepares the database, and keeps gateway, worker and dashboard running. */
export async function startAllInOne(process: Process, options: AllInOneOptions): Promise<AllInOne> {
  const { config, lifecycle, logger, clock } = process;
  const engines: OwnEngines = await openEngines(process);
  const { secret, adminPassword } = await prepare(process, engines, options.isTerminal === true);
  const { host } = config.http;
  // Every process must learn the ports, and so must this one: they are settled before they start.
  const port = config.http.port === 0 ? await freePort(host) : config.http.port;
  const adminPort = config.admin.port === 0 ? await freePort(host) : config.admin.port;
  const urlOf = (one: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${String(one)}`;
  const url = urlOf(port);
  writeRunning(config.storage.dataDir, { ...engines, url });
  lifecycle.onStop('running file', () => removeRunning(config.storage.dataDir));

  options.onStarting?.(adminPassword);
  await waitForPorts(host, wantedPorts(config.http.metricsPort, port, adminPort), clock);
  const plans = plansOf(process, engines, { port, adminPort, url }, options.variables ?? {});
  const supervisor = supervise(plans, { clock, logger, writeLog: options.writeLog });
  lifecycle.onStop('gateway, worker and admin', () => supervisor.stop());
  supervisor.failed.catch((error: unknown) => lifecycle.fail('a part could not be kept running', error));
  await Promise.race([supervisor.ready, supervisor.failed]);
  return {
    url,
    adminUrl: urlOf(adminPort),
    adminPassword,
    secret,
    engines,
    pidOf: (part) => (part === 'postgres' || part === 'redis' ? engines.pidOf(part) : supervisor.pidOf(part)),
  };
}

interface Prepared {
  readonly secret: string;
  readonly adminPassword: string | null;
}

/** Schema, the game, its definition, its first key and the first user. Answers the secrets. */
async function prepare(process: Process, engines: Engines, isTerminal: boolean): Promise<Prepared> {
  const { config, clock, random, logger } = process;
  const isEmbedded = config.storage.databaseUrl === null;
  // Migrations alone are the work of the user who owns the database.
  const applied = isEmbedded ? await withStarter(engines, null, migrate) : [];
  if (applied.length > 0) logger.info({ migrations: applied }, 'the database is prepared');
  const adminPassword = isEmbedded
    ? await withStarter(engines, 'fairtally_api', (db) =>
        makeFirstAdmin(db, { config, clock, random, isTerminal }),
      )
    : null;
  const secret = await withStarter(engines, 'fairtally_worker', async (db) => {
    await refuseUnsafeRole(db, 'fairtally_worker');
    const sealer = createSealer(parseMasterKeys(masterKeyText(config, random)), random);
    const secret = demoSecret(config, random);
    // Somebody else's database gets the demo game only when it is asked for by its secret.
    if (!isEmbedded && config.secrets.hmacSecret === null) return secret;
    await refuseForeignMasterKey(db, sealer);
    const seeded = await ensureGame({
      games: createGameStore(db, sealer, random),
      definitions: createDefinitionStore(db),
      keys: createKeyStore({ database: db, sealer, random, clock }),
      definitionFile: config.game.definitionFile ?? sampleFile('demo.yaml'),
      secret,
      mayReplaceSecret: config.secrets.hmacSecret !== null && config.environment !== 'production',
    });
    for (const line of describeSeed(seeded)) logger.info({}, line);
    return secret;
  });
  return { secret, adminPassword };
}

/** A pool for the time of some work, of the user who migrates or as a role. */
async function withStarter<T>(
  { databaseUrl, ownerUrl }: Engines,
  role: DatabaseRole | null,
  work: (db: Database) => Promise<T>,
): Promise<T> {
  const named = { poolSize: 2, applicationName: 'fairtally start' };
  const as = role === null ? { url: ownerUrl } : { url: databaseUrl, role };
  const db = createDatabase({ ...named, ...as });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

function plansOf(
  { config, random }: Process,
  engines: Engines,
  { port, adminPort, url }: { readonly port: number; readonly adminPort: number; readonly url: string },
  variables: Readonly<Record<string, string>>,
): ChildPlan[] {
  const shared = inheritedEnvironment({
    ...variables,
    DATABASE_URL: engines.databaseUrl,
    DISK_FOLDER: diskFolderOf(config),
    PORT: String(port),
    ADMIN_PORT: String(adminPort),
    GATEWAY_URL: url,
    ...(engines.redisUrl === null ? {} : { REDIS_URL: engines.redisUrl }),
    MASTER_KEY: masterKeyText(config, random),
    MASTER_KEY_FILE: '',
  });
  const { metricsPort } = config.http;
  const metricsPortAfter = (places: number): string => String(metricsPort === 0 ? 0 : metricsPort + places);
  const admin = {
    name: 'admin',
    script: script('../admin/main.js'),
    env: { ...shared, METRICS_PORT: metricsPortAfter(2) },
  };
  if (config.bus.driver === 'memory')
    return [{ name: 'gateway and worker', script: script('./one-process.js'), env: shared }, admin];
  return [
    { name: 'gateway', script: script('../gateway/main.js'), env: shared },
    {
      name: 'worker',
      script: script('../worker/main.js'),
      env: { ...shared, METRICS_PORT: metricsPortAfter(1) },
    },
    admin,
  ];
}

/** The children are given a URL and could not tell that its database is ours and where it lies. '' watches nothing. */
const diskFolderOf = ({ overload, storage }: Process['config']): string =>
  overload.diskFolder ?? (storage.databaseUrl === null ? storage.dataDir : '');

/** Gateway, worker and dashboard each have metrics of their own, one port after the other. */
const wantedPorts = (metricsPort: number, port: number, adminPort: number): WantedPort[] => [
  { port, setting: 'PORT' },
  { port: adminPort, setting: 'ADMIN_PORT' },
  ...(metricsPort === 0
    ? []
    : [0, 1, 2].map((place) => ({
        port: metricsPort + place,
        setting: place === 0 ? 'METRICS_PORT' : `METRICS_PORT + ${String(place)}`,
      }))),
];
