import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import { hasCode } from './file-errors.js';
import { processIdentity } from './processes.js';

/** The data directory while this process holds it. */
export interface DataDir {
  readonly path: string;
  /** Lets the next process in. */
  release(): void;
}

const RECORD = /^([1-9][0-9]{0,9})-([0-9a-f]{16})$/;

/**
 * Makes the folder and takes its lock, so that one process at a time works in it.
 *
 * Each contender puts down a record named after its process (id and start time) and then looks for others: two that
 * come together both see each other, so never do two hold it. A record of a process that is gone, or whose id now
 * belongs to another process, is swept away; its name is unique, so nobody else's record can be hit.
 *
 * @throws FairtallyError `data_dir_locked`, which names the holder; `data_dir_unwritable`
 */
export function lockDataDir(path: string): DataDir {
  const folder = join(path, 'lock');
  const own = `${String(process.pid)}-${processIdentity(process.pid) ?? ''}`;
  const record = join(folder, own);
  putRecord(path, folder, record);
  for (const name of readdirSync(folder)) {
    if (name === own) continue;
    const holder = livingHolder(folder, name);
    if (holder === null) continue;
    rmSync(record);
    throw locked(path, holder.pid, holder.since);
  }
  return { path, release: () => rmSync(record, { force: true }) };
}

function putRecord(path: string, folder: string, record: string): void {
  // As root, PostgreSQL runs as another user, who must be able to walk through but not to look around.
  const isRoot = process.getuid?.() === 0;
  try {
    mkdirSync(path, { recursive: true, mode: isRoot ? 0o711 : 0o700 });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    closeSync(openSync(record, 'wx', 0o600));
  } catch (error) {
    if (hasCode(error, 'EEXIST')) throw locked(path, process.pid, statSync(record).mtime);
    if (!hasCode(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
    const hint = 'run as the user who made it, or set DATA_DIR to another folder';
    throw new FairtallyError('data_dir_unwritable', `this user cannot write to ${path}: ${hint}`, false, {
      cause: error,
    });
  }
}

/** The living process that a record names; sweeps the record away when there is none. */
function livingHolder(folder: string, name: string): { pid: number; since: Date } | null {
  const [, pid, identity] = RECORD.exec(name) ?? [];
  if (pid !== undefined && processIdentity(Number(pid)) === identity) {
    const since = statSync(join(folder, name), { throwIfNoEntry: false })?.mtime;
    return since === undefined ? null : { pid: Number(pid), since }; // it has just let go
  }
  rmSync(join(folder, name), { force: true });
  return null;
}

const locked = (path: string, pid: number, since: Date): FairtallyError =>
  new FairtallyError(
    'data_dir_locked',
    `${path} is in use by process ${String(pid)} since ${since.toISOString()}: stop it, or set DATA_DIR to another folder`,
    true,
  );
