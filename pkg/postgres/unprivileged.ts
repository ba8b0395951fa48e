import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';

/** How to start a PostgreSQL program, which refuses to run as root. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** For child_process; absent when the caller is not root or the launcher switches users itself. */
  readonly uid?: number;
  readonly gid?: number;
}

const SETPRIV = '/usr/bin/setpriv';
const KEEP = '+dac_override,+dac_read_search';

/** The user PostgreSQL runs as when we are root: `postgres` where it exists, else `nobody`. */
export function unprivilegedUser(): { uid: number; gid: number } {
  const users = readFileSync('/etc/passwd', 'utf8').split('\n').map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) throw new FairtallyError('no_unprivileged_user', 'PostgreSQL refuses to run as root and there is no user postgres or nobody');
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** Whether somebody without rights of their own can walk to a path (every folder above it lets others pass). */
function isReachable(path: string): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * The launch of a PostgreSQL program that has to reach these absolute paths. As root it runs as an unprivileged user;
 * where that user cannot walk to the paths (a clone below /root), the right to do so, and nothing else, is left to it.
 */
export function launchPostgres(program: string, args: readonly string[], paths: readonly string[]): Launch {
  if (process.getuid?.() !== 0) return { command: program, args };
  const { uid, gid } = unprivilegedUser();
  if ([program, ...paths].every(isReachable)) return { command: program, args, uid, gid };
  if (!existsSync(SETPRIV)) {
    throw new FairtallyError('unreachable_data_dir', `PostgreSQL, which refuses to run as root, cannot reach ${paths.join(', ')}: set DATA_DIR to a folder that every user may enter, or run as a plain user`);
  }
  const switches = [`--reuid=${String(uid)}`, `--regid=${String(gid)}`, '--clear-groups', `--inh-caps=${KEEP}`, `--ambient-caps=${KEEP}`];
  return { command: SETPRIV, args: [...switches, '--', program, ...args] };
}
