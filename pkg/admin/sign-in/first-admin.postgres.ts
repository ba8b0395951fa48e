import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Database, Sql } from '../../postgres/port.js';
import { FairtallyError } from '../../kernel/errors.js';
import { appendAudit } from '../audit-log.postgres.js';
import { INSTALLATION } from '../port.js';
import { firstPassword, type Passwords } from './passwords.js';
import { endSessions } from './sessions.postgres.js';
import { insertUser, LOCAL_NAME, normalName, randomId, setPassword, userByName } from './users.postgres.js';

export interface FirstAdminDeps {
  /** Acts as fairtally_api. */
  readonly db: Database;
  readonly passwords: Passwords;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
  /** Who asked for it, for the audit log. */
  readonly by: string;
}

/** The user whom an installation begins with: admin of every game. */
export const FIRST_ADMIN = 'admin';

/** Makes the first user where there is none. Answers the password, or null where somebody is. */
export async function ensureFirstAdmin(deps: FirstAdminDeps): Promise<string | null> {
  const users = await deps.db.query('SELECT 1 FROM admin_users LIMIT 1');
  return users.length > 0 ? null : resetAdmin(FIRST_ADMIN, deps, 'user.first_admin');
}

/**
 * Gives a local user a new password and makes them admin of every game: who may write to the database may do that. Every
 * session of theirs ends. A name of nobody becomes a user.
 *
 * @throws FairtallyError `invalid_username`
 * @returns the password; null when the name is of somebody who signs in at the issuer
 */
export async function resetAdmin(
  username: string,
  { db, passwords, clock, random, by }: FirstAdminDeps,
  action = 'user.reset_admin',
): Promise<string | null> {
  const name = normalName(username);
  if (!LOCAL_NAME.test(name))
    throw new FairtallyError('invalid_username', 'a name of a user is [A-Za-z0-9._@+-], at most 128 of them');
  const password = firstPassword(random);
  const passwordHash = await passwords.hash(password);
  const isDone = await db.transaction(async (sql) => {
    await sql.query("SELECT set_config('app.game', $1, true)", [INSTALLATION]);
    const ended = await setAdmin(sql, { username, passwordHash, random, clock });
    if (ended === null) return false;
    const actor = { userId: null, name: by, requestId: '' };
    const entries = [{ action, subject: `user ${username}`, details: { ended } }];
    await appendAudit(sql, { gameId: INSTALLATION, actor, entries, clock });
    return true;
  });
  return isDone ? password : null;
}

interface NewAdmin extends Pick<FirstAdminDeps, 'random' | 'clock'> {
  readonly username: string;
  readonly passwordHash: string;
}

/** How many sessions ended; null when the user has no password here. */
async function setAdmin(
  sql: Sql,
  { username, passwordHash, random, clock }: NewAdmin,
): Promise<number | null> {
  const user = await userByName(sql, username);
  if (user === null) {
    const userId = randomId(random);
    await insertUser(sql, { userId, username, passwordHash, oidc: null, isAdminOfAll: true });
    return 0;
  }
  if (!user.isLocal) return null;
  await setPassword(sql, user.userId, passwordHash, true);
  await sql.query('UPDATE admin_users SET all_games = true, disabled_at = NULL WHERE user_id = $1', [
    user.userId,
  ]);
  return endSessions(sql, { userId: user.userId }, 'password_changed', clock);
}
