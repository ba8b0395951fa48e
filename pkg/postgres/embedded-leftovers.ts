import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import { hasCode } from '../runtime/file-errors.js';
import { commandLine, processIdentity } from '../runtime/processes.js';
import { isListening } from '../runtime/socket-folder.js';

/** Where PostgreSQL's socket stands; the number is part of its name, no port is opened. */
export const SOCKET_PORT = 5432;
const socketName = `.s.PGSQL.${String(SOCKET_PORT)}`;

const FAST_STOP_MS = 20_000;
const KILL_MS = 5_000;
const LOOK_INTERVAL_MS = 20;

export interface Leftovers {
  /** What stood in the way of the next start. */
  readonly found: 'nothing' | 'orphan' | 'stale pid file';
}

/**
 * Clears the way after a process that was killed. To be called with the lock of the data directory held, so whatever
 * server still runs on it has lost its parent: it is stopped.
 *
 * @throws FairtallyError `orphan_unstoppable`, `data_dir_in_use`
 */
export async function clearLeftovers(data: string, sockets: string, clock: Clock): Promise<Leftovers> {
  const pidFile = join(data, 'postmaster.pid');
  const found = await stopOrphan(data, pidFile, clock);
  if (await isListening(join(sockets, socketName))) {
    const message = `a PostgreSQL that this process cannot see (in another container?) is running on ${data}`;
    throw new FairtallyError('data_dir_in_use', message);
  }
  disown(pidFile);
  for (const name of [socketName, `${socketName}.lock`]) rmSync(join(sockets, name), { force: true });
  return { found };
}

const isServerOf = (data: string, pid: number): boolean => {
  const command = commandLine(pid);
  return /\bpostgres\b/.test(command) && `${command} `.includes(`-D ${data} `);
};

async function stopOrphan(data: string, pidFile: string, clock: Clock): Promise<Leftovers['found']> {
  const text = readIfThere(pidFile);
  if (text === null) return 'nothing';
  const pid = Number(text.split('\n')[0]);
  const identity = Number.isSafeInteger(pid) && pid > 1 ? processIdentity(pid) : null;
  if (identity === null || !isServerOf(data, pid)) return 'stale pid file';
  const steps = [
    { signal: 'SIGINT', waitMs: FAST_STOP_MS }, // fast shutdown
    { signal: 'SIGKILL', waitMs: KILL_MS }, // a crash, from which it recovers
  ] as const;
  for (const { signal, waitMs } of steps) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error;
    }
    const deadline = clock.monotonicMs() + waitMs;
    while (processIdentity(pid) === identity && clock.monotonicMs() < deadline)
      await clock.sleep(LOOK_INTERVAL_MS);
    if (processIdentity(pid) !== identity) return 'orphan';
  }
  throw new FairtallyError('orphan_unstoppable', `PostgreSQL process ${String(pid)} cannot be stopped`);
}

/**
 * Puts our own number into a pid file that is left. The number in it may be somebody else's by now, or that of a zombie,
 * and PostgreSQL would take either for its predecessor. Its parent's number it takes for stale, and still looks whether
 * processes of a crashed server are attached to the shared memory that the file names; without the file it would not.
 */
function disown(pidFile: string): void {
  const text = readIfThere(pidFile);
  if (text === null) return;
  const [, ...rest] = text.split('\n');
  writeFileSync(pidFile, [String(process.pid), ...rest].join('\n'));
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}
