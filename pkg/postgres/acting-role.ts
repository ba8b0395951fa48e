import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { DatabaseRole } from './database-roles.js';
import type { Sql } from './port.js';

interface RoleRow {
  readonly name: string;
  readonly login: string;
  readonly isSuperuser: boolean;
  readonly bypasses: boolean;
  readonly owns: boolean;
}

/** What refuses a session that asks for a role: the user is no member of it; there is no such role. */
const NO_MEMBER = '42501';
const NO_SUCH_ROLE = '22023';

/**
 * Row-level security does not bind everybody, and what stands between us and the server may have dropped the role that a
 * session asked for: refuses to go on as another role than `wanted`, or as one that the wall between games would not bind.
 *
 * @throws FairtallyError `unsafe_database_role`, `database_role_refused`, `database_roles_missing`
 */
export async function refuseUnsafeRole(sql: Sql, wanted: DatabaseRole): Promise<void> {
  const role = await currentRole(sql, wanted);
  const fault = role.isSuperuser
    ? 'is a superuser'
    : role.bypasses
      ? 'has BYPASSRLS'
      : role.owns
        ? 'owns tables'
        : role.name !== wanted
          ? `is not ${wanted}: a pooler that drops what a session asks for needs ALTER ROLE ${role.login} SET role = '${wanted}'`
          : null;
  if (fault === null) return;
  throw new FairtallyError(
    'unsafe_database_role',
    `this process acts as the database role ${role.name}, which ${fault} (docs/operations.md, database roles)`,
  );
}

async function currentRole(sql: Sql, wanted: DatabaseRole): Promise<RoleRow> {
  try {
    const [role] = await sql.query<RoleRow>(
      `SELECT r.rolname AS name, quote_ident(session_user) AS login, r.rolsuper AS "isSuperuser", r.rolbypassrls AS bypasses,
              EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace
                         AND pg_has_role(current_user, c.relowner, 'MEMBER')) AS owns
         FROM pg_roles r WHERE r.rolname = current_user`,
    );
    if (role === undefined) throw new Error('the current role is unknown');
    return role;
  } catch (error) {
    throw roleRefusal(error, wanted) ?? error;
  }
}

/** A session that asks for a role is refused as a whole; its message names the role. */
function roleRefusal(error: unknown, wanted: DatabaseRole): FairtallyError | null {
  const cause: unknown = error instanceof OutageError ? error.cause : error;
  if (!(cause instanceof Error) || !('code' in cause) || !cause.message.includes(`"${wanted}"`)) return null;
  if (cause.code === NO_MEMBER) {
    const message = `the user of DATABASE_URL may not act as ${wanted}: run \`fairtally migrate\`, or let an administrator of the server GRANT ${wanted} TO that user`;
    return new FairtallyError('database_role_refused', message);
  }
  if (cause.code !== NO_SUCH_ROLE) return null;
  return new FairtallyError(
    'database_roles_missing',
    `there is no role ${wanted}: run \`fairtally migrate\` first`,
  );
}
