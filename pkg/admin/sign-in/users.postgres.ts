import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import type { GameRole, Person } from '../port.js';

export interface User {
  readonly userId: string;
  readonly username: string;
  readonly passwordHash: string | null;
  readonly isLocal: boolean;
  readonly mustChangePassword: boolean;
  readonly isAdminOfAll: boolean;
  readonly isDisabled: boolean;
}

/** A name as it is kept and compared: names that look the same are the same. */
export const normalName = (username: string): string => username.trim().normalize('NFKC').toLowerCase();

/** What an issuer may call somebody: words and single spaces, no control or format characters (NewUsername of api/admin.yaml). */
export const PRINTABLE_NAME = /^(?=.{1,128}$)[^\p{C}\p{Z}]+( [^\p{C}\p{Z}]+)*$/u;
/** The name of a user who has a password here: no two such names look the same. */
export const LOCAL_NAME = /^[a-z0-9._@+-]{1,128}$/;

const ID_BYTES = 16;
export const randomId = (random: Pick<Random, 'bytes'>): string =>
  random.bytes(ID_BYTES).toString('base64url');

const COLUMNS = `user_id AS "userId", username, password_hash AS "passwordHash", oidc_subject IS NULL AS "isLocal",
  must_change AS "mustChangePassword", all_games AS "isAdminOfAll", disabled_at IS NOT NULL AS "isDisabled"`;

export async function userByName(sql: Sql, username: string): Promise<User | null> {
  const [user] = await sql.query<User>(`SELECT ${COLUMNS} FROM admin_users WHERE username = $1`, [
    normalName(username),
  ]);
  return user ?? null;
}

export async function userById(sql: Sql, userId: string): Promise<User | null> {
  const [user] = await sql.query<User>(`SELECT ${COLUMNS} FROM admin_users WHERE user_id = $1`, [userId]);
  return user ?? null;
}

export async function userBySubject(sql: Sql, issuer: string, subject: string): Promise<User | null> {
  const [user] = await sql.query<User>(
    `SELECT ${COLUMNS} FROM admin_users WHERE oidc_issuer = $1 AND oidc_subject = $2`,
    [issuer, subject],
  );
  return user ?? null;
}

export interface NewUser {
  readonly userId: string;
  readonly username: string;
  readonly passwordHash: string | null;
  readonly oidc: { readonly issuer: string; readonly subject: string } | null;
  readonly isAdminOfAll: boolean;
}

/** false: the name or the subject is somebody's. A local user begins with a password that is to be changed. */
export async function insertUser(sql: Sql, user: NewUser): Promise<boolean> {
  const { userId, username, passwordHash, oidc, isAdminOfAll } = user;
  const rows = await sql.query(
    `INSERT INTO admin_users (user_id, username, password_hash, oidc_issuer, oidc_subject, all_games, must_change)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING RETURNING user_id`,
    [
      userId,
      normalName(username),
      passwordHash,
      oidc?.issuer ?? null,
      oidc?.subject ?? null,
      isAdminOfAll,
      passwordHash !== null,
    ],
  );
  return rows.length > 0;
}

/** Everybody whom an issuer knows can become a user by signing in: there is an end to that. */
const USERS_MAX = 10_000;

export async function isFull(sql: Sql): Promise<boolean> {
  const rows = await sql.query('SELECT 1 FROM admin_users OFFSET $1 LIMIT 1', [USERS_MAX]);
  return rows.length > 0;
}

export async function setPassword(
  sql: Sql,
  userId: string,
  passwordHash: string,
  mustChange: boolean,
): Promise<void> {
  await sql.query('UPDATE admin_users SET password_hash = $2, must_change = $3 WHERE user_id = $1', [
    userId,
    passwordHash,
    mustChange,
  ]);
}

export interface GameOf {
  readonly gameId: string;
  readonly role: GameRole;
}

/** The games in which somebody has a role, by id, at most 1000. */
export const gamesOf = (sql: Sql, userId: string): Promise<GameOf[]> =>
  sql.query<GameOf>('SELECT game_id AS "gameId", role FROM admin_games_of($1)', [userId]);

interface AccessRow {
  readonly userId: string;
  readonly username: string;
  readonly isLocal: boolean;
  readonly mustChangePassword: boolean;
  readonly isAdminOfAll: boolean;
  readonly role: GameRole | null;
}

/** Whose a living session is and their role in a game now; null: there is no such session. */
export async function sessionAccess(
  sql: Sql,
  sessionId: string,
  gameId: string | null,
): Promise<{ readonly person: Person; readonly role: GameRole | null } | null> {
  const [row] = await sql.query<AccessRow>(
    `SELECT user_id AS "userId", username, is_local AS "isLocal", must_change AS "mustChangePassword",
            all_games AS "isAdminOfAll", role FROM admin_access($1, $2)`,
    [sessionId, gameId],
  );
  if (row === undefined) return null;
  const { role, ...person } = row;
  return { person: { ...person, sessionId }, role };
}
