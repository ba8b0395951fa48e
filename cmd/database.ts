import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { refuseUnsafeRole } from '../pkg/postgres/acting-role.js';
import { createDatabase } from '../pkg/postgres/database.js';
import type { DatabaseRole } from '../pkg/postgres/database-roles.js';
import { startEmbeddedPostgres } from '../pkg/postgres/embedded.js';
import { migrate, pendingMigrations } from '../pkg/postgres/migrate.js';
import type { Database } from '../pkg/postgres/port.js';
import { EXIT_INTERRUPTED } from '../pkg/cli/program.js';
import { FairtallyError } from '../pkg/kernel/errors.js';
import type { Config } from '../pkg/runtime/config.js';
import { lockDataDir, type DataDir } from '../pkg/runtime/data-dir.js';
import { readRunning } from '../pkg/runtime/running-file.js';
import { interruption, type CommandLine } from './command-line.js';

/** The database that a command works on. */
export interface OpenDatabase {
  readonly db: Database;
  readonly databaseUrl: string;
  /** null: no Redis is known. */
  readonly redisUrl: string | null;
}

interface Reached {
  readonly databaseUrl: string;
  /** Of the user who migrates; the same where one user does everything. */
  readonly ownerUrl: string;
  readonly redisUrl: string | null;
  readonly isEmbedded: boolean;
  release(): Promise<void>;
}

/** Commands look through whole tables: minutes, not the seconds that a request has. */
const STATEMENT_TIMEOUT_MS = 15 * 60_000;
const CONNECTIONS = 4;

/**
 * Lends a command the database: the one of DATABASE_URL, else the embedded one, through the process that runs it or, when
 * none does, started for the time of the command. Its schema is current, or the command is refused.
 *
 * @param role what the command acts as
 * @throws FairtallyError `no_database`, `migrations_pending`, `not_yet_running`, `unsafe_database_role`, and what the embedded server and its lock throw
 */
export function withDatabase(
  line: CommandLine,
  work: (opened: OpenDatabase) => Promise<number>,
  role: DatabaseRole = 'fairtally_worker',
): Promise<number> {
  refuseAbsent(line.config().storage);
  return withNewDatabase(line, work, role);
}

/** The same for a command that has something to do in an embedded database that it makes: nothing is refused as absent. */
export function withNewDatabase(
  line: CommandLine,
  work: (opened: OpenDatabase) => Promise<number>,
  role: DatabaseRole = 'fairtally_worker',
): Promise<number> {
  return lend(line, role, async (reached) => {
    if (reached.isEmbedded) await migrated(reached);
    return async (opened) => {
      await refuseUnsafeRole(opened.db, role);
      const pending = await pendingMigrations(opened.db);
      if (pending.length === 0) return work(opened);
      const message = `the database lacks ${pending.join(', ')}: run \`fairtally migrate\` first`;
      throw new FairtallyError('migrations_pending', message);
    };
  });
}

/** A wrong DATA_DIR must not look like an installation that has nothing. One that is just being made has its lock already. */
function refuseAbsent({ databaseUrl, dataDir }: Config['storage']): void {
  if (databaseUrl !== null || ['pg', 'lock'].some((name) => existsSync(join(dataDir, name)))) return;
  throw new FairtallyError(
    'no_database',
    `there is no database in ${resolve(dataDir)}: set DATA_DIR to the folder of an installation or DATABASE_URL to its database, ` +
      'or begin one there with `fairtally run` (or `fairtally migrate`)',
  );
}

/** Brings the database up to date, as the user of its URL; what is then done with it is done as the worker. */
export function withMigratedDatabase(
  line: CommandLine,
  work: (opened: OpenDatabase, applied: readonly string[]) => Promise<number>,
): Promise<number> {
  return lend(line, 'fairtally_worker', async (reached) => {
    const applied = await migrated(reached);
    return async (opened) => {
      await refuseUnsafeRole(opened.db, 'fairtally_worker');
      return work(opened, applied);
    };
  });
}

/** @param prepare what comes before anything acts as the role; answers what comes then */
async function lend(
  line: CommandLine,
  role: DatabaseRole,
  prepare: (reached: Reached) => Promise<(opened: OpenDatabase) => Promise<number>>,
): Promise<number> {
  const stop = interruption();
  const interrupted = new Promise<number>((resolve) => {
    stop.addEventListener('abort', () => resolve(EXIT_INTERRUPTED), { once: true });
  });
  const reached = await reach(line);
  const { databaseUrl, redisUrl } = reached;
  try {
    const work = await prepare(reached);
    const db = openAs(role, databaseUrl);
    try {
      const done = work({ db, databaseUrl, redisUrl });
      done.catch(() => undefined); // when interrupted, what then becomes of the work is of no interest
      return await Promise.race([done, interrupted]);
    } finally {
      await db.close();
    }
  } finally {
    await reached.release();
  }
}

async function migrated({ ownerUrl }: Reached): Promise<string[]> {
  const db = openAs(null, ownerUrl);
  try {
    return await migrate(db);
  } finally {
    await db.close();
  }
}

/** null: the user of the URL, for migrations alone. */
export const openAs = (role: DatabaseRole | null, url: string): Database =>
  createDatabase({
    url,
    poolSize: CONNECTIONS,
    applicationName: 'fairtally command',
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
    ...(role === null ? {} : { role }),
  });

async function reach(line: CommandLine): Promise<Reached> {
  const { dataDir, databaseUrl, redisUrl } = line.config().storage;
  if (databaseUrl !== null)
    return {
      databaseUrl,
      ownerUrl: databaseUrl,
      redisUrl,
      isEmbedded: false,
      release: async () => undefined,
    };
  const folder = lockUnlessHeld(dataDir);
  if (folder !== null) return startForCommand(line, folder);
  const running = readRunning(dataDir);
  if (running === null) {
    const message = `another process has just begun to work in ${dataDir}: try again when it says that it is running`;
    throw new FairtallyError('not_yet_running', message, true);
  }
  return {
    databaseUrl: running.databaseUrl,
    ownerUrl: running.ownerUrl,
    redisUrl: redisUrl ?? running.redisUrl,
    isEmbedded: false,
    release: async () => undefined,
  };
}

/** null when another process holds it: the all-in-one, most likely. */
function lockUnlessHeld(dataDir: string): DataDir | null {
  try {
    return lockDataDir(dataDir);
  } catch (error) {
    if (error instanceof FairtallyError && error.code === 'data_dir_locked') return null;
    throw error;
  }
}

async function startForCommand(line: CommandLine, folder: DataDir): Promise<Reached> {
  const { config, clock, random } = line;
  try {
    const parts = { dataDir: folder.path, path: config().path, clock, random, logger: line.logger() };
    const postgres = await startEmbeddedPostgres(parts);
    return {
      databaseUrl: postgres.url,
      ownerUrl: postgres.ownerUrl,
      redisUrl: config().storage.redisUrl,
      isEmbedded: true,
      release: async () => {
        await postgres.stop();
        folder.release();
      },
    };
  } catch (error) {
    folder.release();
    throw error;
  }
}
