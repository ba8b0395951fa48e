import { spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FairtallyError } from '../kernel/errors.js';
import { CHILD_ENVIRONMENT } from '../runtime/child-server.js';
import { launchAs, type User } from '../runtime/unprivileged.js';
import { createDatabase } from './database.js';
import { commandsFor, DATABASE_ROLES } from './database-roles.js';
import type { Database } from './port.js';

/** The users of the embedded server: one that makes things, one that owns the database and migrates, one that serves. */
export const SUPERUSER = 'postgres';
export const APPLICATION = 'fairtally';
export const SERVING = 'fairtally_app';

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

/** Makes the application's plain users, the roles of the wall between games, and its database where they do not exist. */
export async function ensureApplication(
  superuserUrl: string,
  passwords: { readonly owner: string; readonly serving: string },
): Promise<void> {
  const db = createDatabase({ url: superuserUrl, poolSize: 1 });
  try {
    await ensureUser(db, `${APPLICATION} LOGIN NOSUPERUSER`, passwords.owner);
    await ensureUser(db, `${SERVING} LOGIN NOSUPERUSER NOINHERIT`, passwords.serving);
    const made = await db.query('SELECT 1 FROM pg_roles WHERE rolname = ANY($1)', [DATABASE_ROLES]);
    // A start that was killed in between leaves none of them: one transaction makes them all.
    if (made.length === 0)
      await db.transaction(async (sql) => {
        for (const command of commandsFor(APPLICATION)) await sql.query(command);
      });
    await db.query(`GRANT fairtally_worker, fairtally_api TO ${SERVING}`);
    const databases = await db.query('SELECT 1 FROM pg_database WHERE datname = $1', [APPLICATION]);
    if (databases.length === 0) {
      await db.query(`CREATE DATABASE ${APPLICATION} OWNER ${APPLICATION} TEMPLATE template0`);
    }
  } finally {
    await db.close();
  }
}

/** @param user its name, then what it may be */
async function ensureUser(db: Database, user: string, password: string): Promise<void> {
  const [name] = user.split(' ');
  const roles = await db.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [name]);
  if (roles.length > 0) return;
  await db.transaction(async (sql) => {
    // The server logs the statements that fail, and this one holds a password.
    await sql.query("SET LOCAL log_min_error_statement = 'panic'");
    await sql.query(`CREATE ROLE ${user} PASSWORD '${password}'`);
  });
}
