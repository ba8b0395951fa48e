import { createHash } from 'node:crypto';
import { chmodSync, chownSync, lstatSync, mkdirSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import { hasCode } from './file-errors.js';
import type { User } from './unprivileged.js';

/** sun_path holds 104 bytes on macOS (108 on Linux), the closing zero and `/.s.PGSQL.5432.lock` among them. */
const FOLDER_BYTES_MAX = 84;
/** PostgreSQL reads the folder out of a comma-separated, quotable list. */
const PLAIN_PATH = /^[A-Za-z0-9_./-]+$/;

/**
 * The private folder (0700) for the sockets of the embedded servers: `<dataDir>/run`, or where that is too long for a
 * socket or oddly named, one in the system's temporary folder that is named after the data directory.
 *
 * @param dataDir absolute, without symbolic links
 * @param owner who runs the servers; null: ourselves
 * @throws FairtallyError `socket_folder_taken` when somebody else has put something in its place
 */
export function socketFolder(dataDir: string, owner: User | null): string {
  const near = join(dataDir, 'run');
  if (PLAIN_PATH.test(near) && Buffer.byteLength(near) <= FOLDER_BYTES_MAX) {
    makeFolder(near, owner);
    return near;
  }
  const name = createHash('sha256').update(dataDir).digest('hex').slice(0, 16);
  const far = join(tmpdir(), `fairtally-${name}`);
  makeFolder(far, owner);
  return far;
}

function makeFolder(path: string, owner: User | null): void {
  const uid = owner?.uid ?? process.getuid?.();
  try {
    mkdirSync(path, { mode: 0o700 });
    if (owner !== null) chownSync(path, owner.uid, owner.gid);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  // Anybody may write to the temporary folder: what stands there is only used when it is ours and nobody else's.
  const found = lstatSync(path);
  if (!found.isDirectory() || found.uid !== uid) {
    throw new FairtallyError('socket_folder_taken', `${path} belongs to another user: remove it`);
  }
  if ((found.mode & 0o077) !== 0) chmodSync(path, 0o700);
}

/** Whether a server answers on a unix socket. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const answer = (listening: boolean) => (): void => {
      socket.destroy();
      resolve(listening);
    };
    socket.once('connect', answer(true));
    socket.once('error', answer(false));
  });
}
