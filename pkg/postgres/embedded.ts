import { existsSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import { openBoundedLog } from '../runtime/bounded-log.js';
import { startChildServer, type ChildServer } from '../runtime/child-server.js';
import type { Logger } from '../runtime/port.js';
import { randomSecret, secretFile } from '../runtime/secret-files.js';
import { socketFolder } from '../runtime/socket-folder.js';
import { launchAs, serverUser } from '../runtime/unprivileged.js';
import { findPostgresBinaries } from './binaries.js';
import { APPLICATION, ensureApplication, makeCluster, SERVING, SUPERUSER } from './embedded-cluster.js';
import { clearLeftovers, SOCKET_PORT } from './embedded-leftovers.js';

export interface EmbeddedPostgresOptions {
  /** Absolute; the caller holds its lock (lockDataDir). */
  readonly dataDir: string;
  /** Folders in which PostgreSQL is looked for when its npm package is absent, separated by colons. */
  readonly path: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The server ended and nobody had asked it to. */
  readonly onUnexpectedExit?: (error: Error) => void;
}

export interface EmbeddedPostgres {
  /** For `pg`, over a private unix socket: who serves. May do nothing but act as the roles that own nothing. */
  readonly url: string;
  /** The same for who migrates. */
  readonly ownerUrl: string;
  readonly pid: number;
  /** PostgreSQL's fast shutdown: open transactions are rolled back, everything committed is on disk. */
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 60_000; // crash recovery may have a lot to replay
const STOP_TIMEOUT_MS = 20_000;
const CRASHED_BACKENDS_TIMEOUT_MS = 10_000;
const RETRY_INTERVAL_MS = 100;
const CONNECTIONS_MAX = 100;

/**
 * Starts the PostgreSQL that lives in `<dataDir>/pg`: made when it is first asked for, durable (fsync on), reachable
 * through a unix socket in a private folder alone, scram passwords. What a killed process has left behind is cleared.
 *
 * @throws FairtallyError `no_postgres`, `foreign_data_dir`, `initdb_failed`, `server_start_failed`, `data_dir_in_use`
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { clock, logger, random } = options;
  const dataDir = realpathSync(options.dataDir);
  const data = join(dataDir, 'pg');
  refuseForeign(data);
  const binaries = findPostgresBinaries(options.path, dataDir);
  if (binaries === null) {
    const hint = 'set DATABASE_URL, or install PostgreSQL or the optional dependencies of Fairtally';
    throw new FairtallyError('no_postgres', `no PostgreSQL was found on this machine: ${hint}`);
  }
  const user = serverUser(data);
  const sockets = socketFolder(dataDir, user);
  const secretOf = (name: string): string => secretFile(dataDir, name, () => randomSecret(random), random);
  const superuserPassword = secretOf('postgres.superuser');
  const passwords = { owner: secretOf('postgres.application'), serving: secretOf('postgres.serving') };
  if (!existsSync(data)) logger.info({ folder: data }, 'making the embedded database, once');
  makeCluster({ programs: binaries.folder, folder: data, scratch: sockets, user, superuserPassword });
  const { found } = await clearLeftovers(data, sockets, clock);
  if (found !== 'nothing')
    logger.warn({ found }, 'the embedded database was not stopped properly: recovering');

  const log = openBoundedLog(join(dataDir, 'log', 'postgres.log'));
  const launch = launchAs(user, join(binaries.folder, 'postgres'), serverArguments(data, sockets), [
    data,
    sockets,
  ]);
  const server = await startWithPatience(clock, () =>
    startChildServer({
      name: 'the embedded PostgreSQL',
      launch,
      ready: /database system is ready to accept connections/,
      readyTimeoutMs: READY_TIMEOUT_MS,
      log,
      clock,
    }),
  );
  const embedded = supervised(server, options, {
    url: socketUrl(SERVING, passwords.serving, APPLICATION, sockets),
    ownerUrl: socketUrl(APPLICATION, passwords.owner, APPLICATION, sockets),
  });
  try {
    await ensureApplication(socketUrl(SUPERUSER, superuserPassword, 'postgres', sockets), passwords);
  } catch (error) {
    await embedded.stop();
    throw error;
  }
  return embedded;
}

/** A data directory of another user cannot be used, and PostgreSQL's own words for it do not help. */
function refuseForeign(data: string): void {
  const uid = process.getuid?.();
  const owner = statSync(data, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || uid === 0 || owner === uid) return;
  throw new FairtallyError(
    'foreign_data_dir',
    `${data} was made by user ${String(owner)}: run as that user or as root, or set DATA_DIR to another folder`,
  );
}

function serverArguments(data: string, sockets: string): string[] {
  const settings = {
    listen_addresses: '',
    port: SOCKET_PORT,
    unix_socket_directories: sockets,
    unix_socket_permissions: '0700',
    max_connections: CONNECTIONS_MAX,
    logging_collector: 'off',
    log_checkpoints: 'off',
    timezone: 'UTC',
    log_timezone: 'UTC',
  };
  return [
    '-D',
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${String(value)}`]),
  ];
}

/** After a SIGKILL of the server alone, its children need a moment to notice; until then the next one refuses to start. */
async function startWithPatience(clock: Clock, start: () => Promise<ChildServer>): Promise<ChildServer> {
  const deadline = clock.monotonicMs() + CRASHED_BACKENDS_TIMEOUT_MS;
  for (;;) {
    try {
      return await start();
    } catch (error) {
      const isWaiting = error instanceof Error && error.message.includes('pre-existing shared memory block');
      if (!isWaiting || clock.monotonicMs() >= deadline) throw error;
      await clock.sleep(RETRY_INTERVAL_MS);
    }
  }
}

function supervised(
  server: ChildServer,
  options: EmbeddedPostgresOptions,
  urls: Pick<EmbeddedPostgres, 'url' | 'ownerUrl'>,
): EmbeddedPostgres {
  let isStopping = false;
  void server.exited.then(() => {
    if (isStopping) return;
    const message = 'the embedded PostgreSQL has ended; see log/postgres.log in the data directory';
    options.onUnexpectedExit?.(new FairtallyError('embedded_postgres_ended', message));
  });
  return {
    ...urls,
    pid: server.pid,
    stop: () => {
      isStopping = true;
      return server.stop('SIGINT', STOP_TIMEOUT_MS);
    },
  };
}

/** A URL with the socket's folder for a host. The port names the socket and keeps PGPORT out of it. */
const socketUrl = (user: string, password: string, database: string, sockets: string): string =>
  `postgres://${user}:${password}@/${database}?host=${encodeURIComponent(sockets)}&port=${String(SOCKET_PORT)}`;
