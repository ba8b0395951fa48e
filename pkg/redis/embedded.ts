import { accessSync, constants, realpathSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { delimiter, join } from 'node:path';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import { openBoundedLog } from '../runtime/bounded-log.js';
import { startChildServer } from '../runtime/child-server.js';
import type { Logger } from '../runtime/port.js';
import { isListening, socketFolder } from '../runtime/socket-folder.js';
import { launchAs, serverUser } from '../runtime/unprivileged.js';

export interface EmbeddedRedisOptions {
  /** Absolute; the caller holds its lock (lockDataDir). */
  readonly dataDir: string;
  /** Folders in which redis-server is looked for, separated by colons. */
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The server ended and nobody had asked it to: views are read from PostgreSQL from now on. */
  readonly onUnexpectedExit?: (error: Error) => void;
}

export interface EmbeddedRedis {
  /** For `ioredis`: the path of a private unix socket. */
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

const READY_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 5_000;
const LOOK_INTERVAL_MS = 10;
const MEMORY_MAX = '512mb';

/**
 * Starts the redis-server of this machine as a child on a private socket, keeping nothing: it only holds views that are
 * built again from PostgreSQL. When its memory is full it refuses to write rather than forget. null when the machine has none.
 *
 * @throws FairtallyError `server_start_failed`, `orphan_unstoppable`
 */
export async function startEmbeddedRedis(options: EmbeddedRedisOptions): Promise<EmbeddedRedis | null> {
  const program = findProgram('redis-server', options.path);
  if (program === null) return null;
  const dataDir = realpathSync(options.dataDir);
  const user = serverUser(join(dataDir, 'pg'));
  const sockets = socketFolder(dataDir, user);
  const socket = join(sockets, 'redis.sock');
  if (await endOrphan(socket, options.clock))
    options.logger.warn({}, 'an embedded Redis without a parent was stopped');
  rmSync(socket, { force: true });

  const server = await startChildServer({
    name: 'the embedded Redis',
    launch: launchAs(user, program, serverArguments(socket, sockets), [sockets]),
    ready: /ready to accept connections/i,
    readyTimeoutMs: READY_TIMEOUT_MS,
    log: openBoundedLog(join(dataDir, 'log', 'redis.log')),
    clock: options.clock,
  });
  let isStopping = false;
  void server.exited.then(() => {
    if (isStopping) return;
    options.onUnexpectedExit?.(new FairtallyError('embedded_redis_ended', 'the embedded Redis has ended'));
  });
  return {
    url: socket,
    pid: server.pid,
    stop: () => {
      isStopping = true;
      return server.stop('SIGTERM', STOP_TIMEOUT_MS);
    },
  };
}

function serverArguments(socket: string, folder: string): string[] {
  const settings: readonly (readonly [string, string])[] = [
    ['port', '0'],
    ['unixsocket', socket],
    ['unixsocketperm', '700'],
    ['dir', folder],
    ['save', ''],
    ['appendonly', 'no'],
    ['maxmemory', MEMORY_MAX],
    ['maxmemory-policy', 'noeviction'],
    ['daemonize', 'no'],
  ];
  return settings.flatMap(([name, value]) => [`--${name}`, value]);
}

function findProgram(name: string, path: string): string | null {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, name), constants.X_OK);
      return join(folder, name);
    } catch {
      continue; // not here
    }
  }
  return null;
}

/** A server that still answers on our private socket has lost its parent. It keeps nothing, so it is told to end. */
async function endOrphan(socket: string, clock: Clock): Promise<boolean> {
  if (!(await isListening(socket))) return false;
  const connection = connect(socket);
  connection.on('error', () => undefined); // it ends as the server does
  connection.end('SHUTDOWN NOSAVE\r\n');
  const deadline = clock.monotonicMs() + STOP_TIMEOUT_MS;
  while (await isListening(socket)) {
    if (clock.monotonicMs() >= deadline) {
      throw new FairtallyError('orphan_unstoppable', `the Redis that answers on ${socket} cannot be stopped`);
    }
    await clock.sleep(LOOK_INTERVAL_MS);
  }
  connection.destroy();
  return true;
}
