import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import { CHILD_ENVIRONMENT } from '../runtime/child-server.js';
import { launchAs, type User } from '../runtime/unprivileged.js';
import { createDatabase } from './database.js';
import { commandsFor, DATABASE_ROLES } from './database-roles.js';

/** The two users of the embedded server: one that makes things, one that the application is. */
export const SUPERUSER = 'postgres';
export const APPLICATION = 'fairtally';

export interface ClusterOptions {
  /** Folder of `initdb`. */
  readonly programs: string;
  /** PostgreSQL's data directory; nothing is done when it exists. */
  readonly folder: string;
  /** A private folder that the server's user may read. */
  readonly scratch: string;
  readonly user: User | null;
  readonly superuserPassword: string;
}

const INITDB_TIMEOUT_MS = 120_000;

/**
 * Makes the data directory, whole or not at all: it is made beside its place and moved there when it is ready.
 *
 * @throws FairtallyError `initdb_failed`
 */
export function makeCluster(options: ClusterOptions): void {
  const { folder, user } = options;
  if (existsSync(folder)) return;
  const partial = `${folder}.partial`;
  const passwordFile = join(options.scratch, 'superuser.password');
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { mode: 0o700 });
  writeFileSync(passwordFile, `${options.superuserPassword}\n`, { mode: 0o600 });
  try {
    if (user !== null) for (const path of [partial, passwordFile]) chownSync(path, user.uid, user.gid);
    runInitdb(options, partial, passwordFile);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(partial, folder);
}

function runInitdb(options: ClusterOptions, folder: string, passwordFile: string): void {
  const args = ['-D', folder, '-U', SUPERUSER, `--pwfile=${passwordFile}`, '-E', 'UTF8', '--no-locale'];
  args.push('--auth=scram-sha-256', '--no-instructions');
  const launch = launchAs(options.user, join(options.programs, 'initdb'), args, [folder, passwordFile]);
  const { uid, gid } = launch;
  const done = spawnSync(launch.command, launch.args, {
    cwd: '/',
    encoding: 'utf8',
    env: CHILD_ENVIRONMENT,
    timeout: INITDB_TIMEOUT_MS,
    ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
  });
  if (done.status === 0) return;
  const reason = done.error?.message ?? done.stderr.trim();
  throw new FairtallyError('initdb_failed', `PostgreSQL's data directory cannot be made: ${reason}`);
}

/** Makes the application's plain role, the roles of the wall between games, and its database where they do not exist. `url` is the superuser's. */
export async function ensureApplication(superuserUrl: string, password: string): Promise<void> {
  const db = createDatabase({ url: superuserUrl, poolSize: 1 });
  try {
    const roles = await db.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [APPLICATION]);
    if (roles.length === 0) {
      await db.transaction(async (sql) => {
        // The server logs the statements that fail, and this one holds a password.
        await sql.query("SET LOCAL log_min_error_statement = 'panic'");
        await sql.query(`CREATE ROLE ${APPLICATION} LOGIN NOSUPERUSER PASSWORD '${password}'`);
      });
    }
    const made = await db.query('SELECT 1 FROM pg_roles WHERE rolname = ANY($1)', [DATABASE_ROLES]);
    // A start that was killed in between leaves none of them: one transaction makes them all.
    if (made.length === 0)
      await db.transaction(async (sql) => {
        for (const command of commandsFor(APPLICATION)) await sql.query(command);
      });
    const databases = await db.query('SELECT 1 FROM pg_database WHERE datname = $1', [APPLICATION]);
    if (databases.length === 0) {
      await db.query(`CREATE DATABASE ${APPLICATION} OWNER ${APPLICATION} TEMPLATE template0`);
    }
  } finally {
    await db.close();
  }
}
