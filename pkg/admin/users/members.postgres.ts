import { pageOf, readCursor, type Page, type PageRequest } from '../../contract/keyset-page.js';
import type { Sql } from '../../postgres/port.js';
import type { GameRole } from '../port.js';

/** Somebody who has a role in a game. */
export interface Member {
  readonly userId: string;
  readonly username: string;
  readonly source: 'local' | 'oidc';
  readonly role: GameRole;
  readonly since: string;
  readonly lastSignInAt: string | null;
}

interface MemberRow {
  readonly userId: string;
  readonly username: string;
  readonly isLocal: boolean;
  readonly role: GameRole;
  readonly since: Date;
  readonly lastSignInAt: Date | null;
}

const SELECT = `SELECT m.user_id AS "userId", u.username, u.oidc_subject IS NULL AS "isLocal", m.role,
    m.granted_at AS since, u.last_sign_in_at AS "lastSignInAt"
  FROM admin_memberships m JOIN admin_users u ON u.user_id = m.user_id WHERE m.game_id = $1`;

const isText = (text: string): boolean => text !== '' && !text.includes('\0');

const memberOf = ({ userId, username, isLocal, role, since, lastSignInAt }: MemberRow): Member => ({
  userId,
  username,
  source: isLocal ? 'local' : 'oidc',
  role,
  since: since.toISOString(),
  lastSignInAt: lastSignInAt?.toISOString() ?? null,
});

/** By name. @throws FairtallyError `bad_cursor` */
export async function listMembers(sql: Sql, gameId: string, page: PageRequest): Promise<Page<Member>> {
  const after = readCursor(page.cursor, [isText, isText]);
  const rows = await sql.query<MemberRow>(
    `${SELECT} AND ($2::text IS NULL OR (u.username, m.user_id) > ($2, $3)) ORDER BY u.username, m.user_id LIMIT $4`,
    [gameId, after?.[0] ?? null, after?.[1] ?? null, page.limit + 1],
  );
  return pageOf(rows, page.limit, (row) => [row.username, row.userId], memberOf);
}

export async function memberById(sql: Sql, gameId: string, userId: string): Promise<Member | null> {
  const [row] = await sql.query<MemberRow>(`${SELECT} AND m.user_id = $2`, [gameId, userId]);
  return row === undefined ? null : memberOf(row);
}

/** false: they have a role there. */
export async function insertMember(
  sql: Sql,
  gameId: string,
  userId: string,
  role: GameRole,
): Promise<boolean> {
  const rows = await sql.query(
    `INSERT INTO admin_memberships (game_id, user_id, role) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING user_id`,
    [gameId, userId, role],
  );
  return rows.length > 0;
}

/** The role that somebody had; null: none. A role of null is taken away. */
export async function changeMember(
  sql: Sql,
  gameId: string,
  userId: string,
  role: GameRole | null,
): Promise<GameRole | null> {
  const before = await memberById(sql, gameId, userId);
  if (before === null) return null;
  if (role === null)
    await sql.query('DELETE FROM admin_memberships WHERE game_id = $1 AND user_id = $2', [gameId, userId]);
  else
    await sql.query('UPDATE admin_memberships SET role = $3 WHERE game_id = $1 AND user_id = $2', [
      gameId,
      userId,
      role,
    ]);
  return before.role;
}

/**
 * Locks the admins of a game, so that of two who take each other's role one is told no. false: this user is the only one,
 * and nobody administers all games.
 */
export async function isAdminLeft(sql: Sql, gameId: string, without: string): Promise<boolean> {
  const admins = await sql.query<{ userId: string }>(
    `SELECT user_id AS "userId" FROM admin_memberships WHERE game_id = $1 AND role = 'admin' ORDER BY user_id FOR UPDATE`,
    [gameId],
  );
  if (admins.some(({ userId }) => userId !== without)) return true;
  const overall = await sql.query(
    'SELECT 1 FROM admin_users WHERE all_games AND disabled_at IS NULL LIMIT 1',
  );
  return overall.length > 0;
}

/** In which games somebody has which role: of all games. */
export const membershipsOf = (sql: Sql, userId: string): Promise<{ gameId: string; role: GameRole }[]> =>
  sql.query('SELECT game_id AS "gameId", role FROM admin_memberships_of($1)', [userId]);
