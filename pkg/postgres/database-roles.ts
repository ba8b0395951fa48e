import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Sql } from './port.js';

/** The roles of the wall between games (migration 0003). They are the cluster's, not the database's, and cannot log in. */
export const DATABASE_ROLES = ['fairtally_owner', 'fairtally_worker', 'fairtally_api'] as const;
export type DatabaseRole = (typeof DATABASE_ROLES)[number];

/** Two databases of one cluster may be migrated at once: whoever comes second finds the role made. */
const MAKE_ROLES = `DO $$
DECLARE
  wanted text;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['${DATABASE_ROLES.join("', '")}'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
    IF NOT pg_has_role(current_user, wanted, 'USAGE') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
    END IF;
  END LOOP;
END $$`;

const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Makes the roles where they are missing and the current user a member of them. Does nothing where they stand, so that a
 * user who may not make roles is enough once somebody else has made them.
 *
 * @throws FairtallyError `database_roles_missing`, which says what an administrator of the server has to run
 */
export async function ensureDatabaseRoles(sql: Sql): Promise<void> {
  const [user] = await sql.query<{ name: string }>('SELECT quote_ident(current_user) AS name');
  try {
    await sql.query(MAKE_ROLES);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const commands = commandsFor(user?.name ?? 'CURRENT_USER').join('\n  ');
    throw new FairtallyError(
      'database_roles_missing',
      `this user of the database may not make roles; let an administrator of the server run, once:\n  ${commands}`,
    );
  }
}

/**
 * What an administrator of a managed server runs before anything else: one login that migrates, and one that the processes
 * have, which may do nothing but act as the two roles that own nothing.
 */
export const commandsOfAdministrator = (): readonly string[] => [
  '-- As an administrator of the server, once; choose the passwords. `fairtally migrate` then has a DATABASE_URL with',
  '-- fairtally_migrate, every other command and process one with fairtally_app.',
  ...DATABASE_ROLES.map((role) => `CREATE ROLE ${role} NOLOGIN;`),
  "CREATE ROLE fairtally_migrate LOGIN PASSWORD '...';",
  "CREATE ROLE fairtally_app LOGIN NOINHERIT PASSWORD '...';",
  `GRANT ${DATABASE_ROLES.join(', ')} TO fairtally_migrate;`,
  'GRANT fairtally_worker, fairtally_api TO fairtally_app;',
  'GRANT fairtally_migrate TO CURRENT_USER; -- so that the next line may name it',
  'CREATE DATABASE fairtally OWNER fairtally_migrate TEMPLATE template0;',
];

/** What an administrator runs where the user of the database may not. */
export const commandsFor = (user: string): readonly string[] => [
  ...DATABASE_ROLES.map((role) => `CREATE ROLE ${role} NOLOGIN;`),
  `GRANT ${DATABASE_ROLES.join(', ')} TO ${user};`,
];

const isRefusal = (error: unknown): boolean =>
  error instanceof OutageError &&
  typeof error.cause === 'object' &&
  error.cause !== null &&
  'code' in error.cause &&
  error.cause.code === INSUFFICIENT_PRIVILEGE;
