import { spawn, type ChildProcess } from 'node:child_process';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { BoundedLog } from './bounded-log.js';
import type { Launch } from './unprivileged.js';

/** A server that runs as a child of this process and ends with it, unless this process is killed. */
export interface ChildServer {
  readonly pid: number;
  /** Resolves when it has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Asks it to end, waits, and kills it when it does not. */
  stop(signal: NodeJS.Signals, timeoutMs: number): Promise<void>;
}

export interface ChildServerOptions {
  /** For messages. */
  readonly name: string;
  readonly launch: Launch;
  /** What its output says when it takes connections. */
  readonly ready: RegExp;
  readonly readyTimeoutMs: number;
  readonly log: BoundedLog;
  readonly clock: Clock;
}

/** What a child inherits: none of our variables, which hold secrets. */
export const CHILD_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * Starts a server and resolves when it takes connections.
 *
 * @throws FairtallyError `server_start_failed`, with the last lines of its output
 */
export async function startChildServer(options: ChildServerOptions): Promise<ChildServer> {
  const { launch, clock, log } = options;
  const { uid, gid } = launch;
  const child = spawn(launch.command, launch.args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
    env: CHILD_ENVIRONMENT,
    // A session of its own: Ctrl-C in a terminal reaches us, and we stop it when we no longer need it.
    detached: true,
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      log.write(`${error.message}\n`);
      resolve();
    });
  });
  const server: ChildServer = {
    pid: child.pid ?? 0,
    exited,
    stop: (signal, timeoutMs) => stopChild(child, exited, clock, signal, timeoutMs),
  };
  const outcome = await firstOf(options, isReady(child, options), exited);
  if (outcome === 'ready') return server;
  await server.stop('SIGKILL', options.readyTimeoutMs);
  throw new FairtallyError(
    'server_start_failed',
    `${options.name} ${outcome === 'ended' ? 'ended at its start' : 'did not start in time'}; the end of ${log.path}:\n${log.tail()}`,
  );
}

async function firstOf(
  options: ChildServerOptions,
  ready: Promise<void>,
  exited: Promise<void>,
): Promise<'ready' | 'ended' | 'late'> {
  const settled = new AbortController();
  const late = options.clock.sleep(options.readyTimeoutMs, settled.signal).then(() => 'late' as const);
  try {
    return await Promise.race([
      ready.then(() => 'ready' as const),
      exited.then(() => 'ended' as const),
      late,
    ]);
  } finally {
    settled.abort();
  }
}

const LINE_MAX = 10_000;

/** Copies the output to the log for as long as the child lives, and resolves when it says that it is ready. */
function isReady(child: ChildProcess, { ready, log }: ChildServerOptions): Promise<void> {
  return new Promise((resolve) => {
    for (const stream of [child.stdout, child.stderr]) {
      let line = '';
      stream?.setEncoding('utf8').on('data', (text: string) => {
        log.write(text);
        line = (line + text).slice(-LINE_MAX);
        if (ready.test(line)) resolve();
        line = line.slice(line.lastIndexOf('\n') + 1);
      });
    }
  });
}

async function stopChild(
  child: ChildProcess,
  exited: Promise<void>,
  clock: Clock,
  signal: NodeJS.Signals,
  timeoutMs: number,
): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  const settled = new AbortController();
  const isLate = clock.sleep(timeoutMs, settled.signal).then(() => !settled.signal.aborted);
  const late = await Promise.race([exited.then(() => false), isLate]);
  settled.abort();
  if (late) child.kill('SIGKILL');
  await exited;
}
