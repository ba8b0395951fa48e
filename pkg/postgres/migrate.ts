import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FairtallyError } from '../kernel/errors.js';
import { ensureDatabaseRoles } from './database-roles.js';
import type { Database, Sql } from './port.js';

export interface Migration {
  readonly name: string;
  readonly text: string;
  readonly sha256: string;
}

const FOLDER = new URL('./migrations/', import.meta.url);
const LOCK_KEY = 7_301_442;

/** The migrations that ship with this version, in order. Forward only; an applied file is never edited. */
export function shippedMigrations(): Migration[] {
  return readdirSync(fileURLToPath(FOLDER))
    .filter((name) => name.endsWith('.sql'))
    .sort()
    .map((name) => {
      const text = readFileSync(new URL(name, FOLDER), 'utf8');
      return { name, text, sha256: createHash('sha256').update(text).digest('hex') };
    });
}

interface AppliedRow {
  readonly name: string;
  readonly sha256: string;
}

const appliedMigrations = (sql: Sql): Promise<AppliedRow[]> =>
  sql.query<AppliedRow>('SELECT name, sha256 FROM schema_migrations ORDER BY name');

/**
 * Brings a database to this version's schema. Several processes may call it at once: the others wait and find it done.
 *
 * @returns the names applied by this call
 * @throws FairtallyError `migration_changed` when an applied file differs, `schema_newer` when the database is ahead,
 *   `database_roles_missing` when its user may not make the roles of migration 0003
 */
export async function migrate(db: Database): Promise<string[]> {
  const shipped = shippedMigrations();
  return db.transaction(async (sql) => {
    await sql.query('SELECT pg_advisory_xact_lock($1)', [LOCK_KEY]);
    await sql.query(
      `CREATE TABLE IF NOT EXISTS schema_migrations (
         name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
    );
    const applied = await appliedMigrations(sql);
    refuseDifferences(shipped, applied);
    await ensureDatabaseRoles(sql);
    const done = new Set(applied.map((row) => row.name));
    const pending = shipped.filter((migration) => !done.has(migration.name));
    for (const migration of pending) {
      await runScript(sql, migration.text);
      await sql.query('INSERT INTO schema_migrations (name, sha256) VALUES ($1, $2)', [
        migration.name,
        migration.sha256,
      ]);
    }
    // A table that a migration made stands behind the wall between games before anybody can see it.
    if (pending.length > 0) await sql.query('SELECT secure_tables()');
    return pending.map((migration) => migration.name);
  });
}

/** Names of shipped migrations that a database lacks; all of them when it has never been migrated, or says nothing of it. */
export async function pendingMigrations(db: Database): Promise<string[]> {
  const shipped = shippedMigrations();
  // Before migration 0003 the role that asks may not read the list.
  const [row] = await db.query<{ canRead: boolean | null }>(
    `SELECT has_table_privilege(to_regclass('schema_migrations'), 'SELECT') AS "canRead"`,
  );
  if (row?.canRead !== true) return shipped.map((migration) => migration.name);
  const applied = await appliedMigrations(db);
  refuseDifferences(shipped, applied);
  const done = new Set(applied.map((entry) => entry.name));
  return shipped.filter((migration) => !done.has(migration.name)).map((migration) => migration.name);
}

function refuseDifferences(shipped: readonly Migration[], applied: readonly AppliedRow[]): void {
  const byName = new Map(shipped.map((migration) => [migration.name, migration]));
  for (const { name, sha256 } of applied) {
    const file = byName.get(name);
    if (file === undefined) {
      throw new FairtallyError(
        'schema_newer',
        `the database has migration ${name}, which this version does not know: run a newer version`,
      );
    }
    if (file.sha256 !== sha256) {
      throw new FairtallyError(
        'migration_changed',
        `migration ${name} was edited after it was applied: restore the file and add a new one`,
      );
    }
  }
}

/** A prepared statement holds one command, a migration many: it runs inside one DO block's EXECUTE. */
async function runScript(sql: Sql, text: string): Promise<void> {
  const tag = '$migration_script$';
  if (text.includes(tag)) throw new Error('a migration must not contain the quoting tag');
  await sql.query(`DO $do$ BEGIN EXECUTE ${tag}${text}${tag}; END $do$`);
}
