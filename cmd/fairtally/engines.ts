import { startEmbeddedPostgres } from '../../pkg/postgres/embedded.js';
import { startEmbeddedRedis } from '../../pkg/redis/embedded.js';
import { lockDataDir } from '../../pkg/runtime/data-dir.js';
import type { Process } from '../platform.js';

/** Where the database and, where there is one, Redis are. */
export interface Engines {
  readonly databaseUrl: string;
  /** Of the user who migrates; the same where one user does everything. */
  readonly ownerUrl: string;
  readonly redisUrl: string | null;
}

/** The same, with the servers that this process keeps alive. */
export interface OwnEngines extends Engines {
  /** null: not ours, or between two lives. */
  pidOf(engine: 'postgres' | 'redis'): number | null;
}

interface Server {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const RESTARTS_MAX = 20;
const RESTART_DELAY_MS = 250;

/** Locks the data directory and starts what is not named by a URL; each embedded server that dies is started again. */
export async function openEngines(process: Process): Promise<OwnEngines> {
  const { config, lifecycle, clock, random, logger } = process;
  const { dataDir, databaseUrl, redisUrl } = config.storage;
  const folder = lockDataDir(dataDir);
  lifecycle.onStop('data directory', () => folder.release());
  const parts = { dataDir, path: config.path, clock, random, logger };
  const postgres =
    databaseUrl === null
      ? await keepAlive('embedded PostgreSQL', process, (onUnexpectedExit) =>
          startEmbeddedPostgres({ ...parts, onUnexpectedExit }),
        )
      : null;
  const redis =
    redisUrl === null
      ? await keepAlive('embedded Redis', process, (onUnexpectedExit) =>
          startEmbeddedRedis({ ...parts, onUnexpectedExit }),
        )
      : null;
  if (redis === null && redisUrl === null)
    logger.info({}, 'no redis-server on the PATH: boards are read from PostgreSQL');
  return {
    databaseUrl: databaseUrl ?? postgres?.first.url ?? '',
    ownerUrl: databaseUrl ?? postgres?.first.ownerUrl ?? '',
    redisUrl: redisUrl ?? redis?.first.url ?? null,
    pidOf: (engine) => (engine === 'postgres' ? postgres : redis)?.pid() ?? null,
  };
}

interface Kept<S extends Server> {
  readonly first: S;
  /** null between two lives. */
  pid(): number | null;
}

/**
 * Starts a server and, when it dies unasked, starts it again at the same place, so that its clients find it by themselves.
 * null where the machine has none.
 */
async function keepAlive<S extends Server>(
  name: string,
  { lifecycle, clock, logger }: Process,
  start: (onUnexpectedExit: (error: Error) => void) => Promise<S | null>,
): Promise<Kept<S> | null> {
  let restarts = 0;
  let alive: S | null = null;
  let current: Promise<S | null> = Promise.resolve(null);
  const startAgain = async (error: Error): Promise<S | null> => {
    restarts += 1;
    logger.warn({ err: error, restarts }, `${name} ended; starting it again`);
    await clock.sleep(RESTART_DELAY_MS, lifecycle.stopping);
    if (lifecycle.stopping.aborted) return null;
    return (alive = await start(onExit));
  };
  const onExit = (error: Error): void => {
    alive = null;
    if (lifecycle.stopping.aborted) return;
    if (restarts >= RESTARTS_MAX) return lifecycle.fail(`${name} could not be kept running`, error);
    current = startAgain(error);
    current.catch((failure: unknown) => lifecycle.fail(`${name} could not be started again`, failure));
  };
  current = start(onExit);
  const first = (alive = await current);
  if (first === null) return null;
  lifecycle.onStop(name, async () => {
    const server = await current.catch(() => null); // a failed start has been told and left nothing running
    await server?.stop();
  });
  return { first, pid: () => alive?.pid ?? null };
}
