import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findPostgresBinaries } from '../postgres/binaries.js';
import { launchAs, serverUser } from '../runtime/unprivileged.js';

/** A real PostgreSQL for tests, on a free port of 127.0.0.1, in a folder of its own. */
export interface PostgresServer {
  readonly port: number;
  readonly folder: string;
  /** URL of a database on it, as superuser `fairtally`. */
  url(database?: string): string;
  /** SIGINT: PostgreSQL's fast shutdown. */
  stop(): Promise<void>;
  /** SIGKILL to the whole group: a crash. */
  kill(): Promise<void>;
  /** Starts again on the same port after stop or kill. */
  start(): Promise<void>;
  readonly pid: number;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      );
    });
  });
}

export interface PostgresServerOptions {
  /** Tests of crashes need fsync; all others are faster without. */
  readonly fsync?: boolean;
}

export async function startPostgresServer(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const binaries = findPostgresBinaries(process.env['PATH'] ?? '');
  if (binaries === null)
    throw new Error('no PostgreSQL: install the optional dependencies or the postgresql package');
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-pg-'));
  const data = join(folder, 'data');
  mkdirSync(data, { mode: 0o700 });
  const user = serverUser();
  if (user !== null) {
    chownSync(folder, user.uid, user.gid);
    chownSync(data, user.uid, user.gid);
  }
  const program = (name: string): string => join(binaries.folder, name);
  const init = launchAs(
    user,
    program('initdb'),
    ['--no-sync', '-A', 'trust', '-U', 'fairtally', '-E', 'UTF8', '--no-locale', '-D', data],
    [data],
  );
  const done = spawnSync(init.command, init.args, { encoding: 'utf8', cwd: '/', ...identity(init) });
  if (done.status !== 0) throw new Error(`initdb failed: ${done.stderr || String(done.error)}`);

  const port = await freePort();
  let child: ChildProcess | null = null;
  const start = async (): Promise<void> => {
    const settings = [
      '-h',
      '127.0.0.1',
      '-p',
      String(port),
      '-k',
      folder,
      '-c',
      'max_connections=200',
      '-c',
      'shared_buffers=64MB',
    ];
    if (options.fsync !== true)
      settings.push('-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off');
    const launch = launchAs(user, program('postgres'), ['-D', data, ...settings], [data]);
    for (const deadline = performance.now() + CRASHED_TIMEOUT_MS; ;) {
      child = spawn(launch.command, launch.args, {
        stdio: ['ignore', 'ignore', 'pipe'],
        cwd: '/',
        detached: true,
        ...identity(launch),
      });
      try {
        return await isReady(child);
      } catch (error) {
        // After a SIGKILL the children of the dead server need a moment to notice.
        if (!STILL_DYING.test(String(error)) || performance.now() > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const end = async (signal: 'SIGINT' | 'SIGKILL'): Promise<void> => {
    const current = child;
    child = null;
    if (current === null || current.pid === undefined || current.exitCode !== null) return;
    const gone = new Promise((resolve) => current.once('exit', resolve));
    if (signal === 'SIGKILL') process.kill(-current.pid, signal);
    else current.kill(signal);
    await gone;
  };
  await start();
  return {
    port,
    folder,
    url: (database = 'postgres') => `postgres://fairtally@127.0.0.1:${String(port)}/${database}`,
    stop: async () => {
      await end('SIGINT');
      rmSync(folder, { recursive: true, force: true });
    },
    kill: () => end('SIGKILL'),
    start,
    get pid() {
      return Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0]);
    },
  };
}

const identity = (launch: { uid?: number; gid?: number }): { uid?: number; gid?: number } =>
  launch.uid === undefined || launch.gid === undefined ? {} : { uid: launch.uid, gid: launch.gid };

const STILL_DYING = /pre-existing shared memory block|lock file "postmaster.pid" already exists/;
const CRASHED_TIMEOUT_MS = 20_000;
const READY = /database system is ready to accept connections/;
const START_TIMEOUT_MS = 30_000;

function isReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = '';
    const timer = setTimeout(() => reject(new Error(`PostgreSQL did not start: ${log}`)), START_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      reject(new Error(`PostgreSQL ended at start: ${log}`));
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      if (log.length > 100_000) return; // only the beginning is of use
      log += chunk.toString('utf8');
      if (READY.test(log)) {
        clearTimeout(timer);
        resolve();
      }
    });
  });
}
