import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** How to start a server's program, as whom, and able to reach what it needs. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  /** For child_process; absent when the caller is not root or the launcher switches users itself. */
  readonly uid?: number;
  readonly gid?: number;
}

const SETPRIV = '/usr/bin/setpriv';
/** capabilities(7): may walk through and read every folder, and no more. */
const KEEP = '+dac_read_search';

/**
 * Who runs the embedded servers when we are root, which PostgreSQL refuses to be: the owner of what it has written
 * before, else `postgres` where that user exists, else `nobody`. null when we are not root: they run as ourselves.
 */
export function serverUser(ownedFolder?: string): User | null {
  if (process.getuid?.() !== 0) return null;
  const owned = ownedFolder === undefined ? undefined : statSync(ownedFolder, { throwIfNoEntry: false });
  if (owned !== undefined && owned.uid !== 0) return { uid: owned.uid, gid: owned.gid };
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (user === undefined) {
    const message = 'PostgreSQL refuses to run as root and there is no user postgres or nobody';
    throw new FairtallyError('no_unprivileged_user', message);
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

/** Whether somebody without rights of their own can walk to a path (every folder above it lets others pass). */
function isReachable(path: string): boolean {
  for (let folder = dirname(realpathSync(path)); ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * The launch of a program that has to reach these paths, which exist, as `user`. Where that user cannot walk to them (a
 * clone below /root), the right to do so, and nothing else, is left to it.
 *
 * @throws FairtallyError `unreachable_data_dir` where there is no way to leave it that right
 */
export function launchAs(
  user: User | null,
  program: string,
  args: readonly string[],
  paths: readonly string[],
): Launch {
  if (user === null) return { command: program, args };
  if ([program, ...paths].every(isReachable)) return { command: program, args, ...user };
  if (!existsSync(SETPRIV)) {
    throw new FairtallyError(
      'unreachable_data_dir',
      `PostgreSQL, which refuses to run as root, cannot reach ${paths.join(', ')}: set DATA_DIR to a folder that every user may enter, or run as a plain user`,
    );
  }
  const identity = [`--reuid=${String(user.uid)}`, `--regid=${String(user.gid)}`, '--clear-groups'];
  const rights = ['--securebits=+no_setuid_fixup', `--inh-caps=${KEEP}`, `--ambient-caps=${KEEP}`];
  return { command: SETPRIV, args: [...identity, ...rights, '--', program, ...args] };
}
