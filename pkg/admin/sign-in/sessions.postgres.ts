import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import { hashOf, LOST_REPLY_MS, randomToken, successorOf } from './refresh-tokens.js';

/** A session of somebody, as its owner sees it. */
export interface SessionDescription {
  readonly sessionId: string;
  readonly createdAtMs: number;
  readonly lastUsedAtMs: number;
  readonly expiresAtMs: number;
  readonly address: string;
  readonly client: string;
}

export type EndedWhy = 'signed_out' | 'revoked' | 'refresh_reused' | 'password_changed' | 'too_many';

/** Where a session is used. */
export interface Place {
  readonly address: string;
  readonly client: string;
}

export interface SessionDeps {
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly refreshSecret: Buffer;
}

export interface OpenedSession {
  readonly sessionId: string;
  readonly refreshToken: string;
  /** How long the refresh token may lie unused. */
  readonly refreshSeconds: number;
}

export type Refreshed =
  | { readonly kind: 'fresh'; readonly userId: string; readonly session: OpenedSession }
  /** Used before, and not just now: the session is over. */
  | {
      readonly kind: 'reused';
      readonly userId: string;
      readonly username: string;
      readonly sessionId: string;
    }
  | { readonly kind: 'unknown' };

const SESSION_ID_BYTES = 16;
/** Without a sign of life for half a day, or a week after signing in, one signs in again. */
const IDLE_MS = 12 * 3_600_000;
const LIFE_MS = 7 * 24 * 3_600_000;
export const SESSIONS_MAX = 100;

/** Begins a session; of somebody's more than a hundred the oldest ends. */
export async function openSession(
  sql: Sql,
  userId: string,
  { address, client }: Place,
  { clock, random }: SessionDeps,
): Promise<OpenedSession> {
  const nowMs = clock.now();
  const sessionId = random.bytes(SESSION_ID_BYTES).toString('base64url');
  const refreshToken = randomToken(random);
  await sql.query(
    `INSERT INTO admin_sessions (session_id, user_id, created_at, last_used_at, expires_at, address, user_agent)
     VALUES ($1, $2, $3, $3, $4, $5, $6)`,
    [sessionId, userId, new Date(nowMs), new Date(nowMs + IDLE_MS), address, client],
  );
  await insertToken(sql, refreshToken, sessionId, nowMs);
  await sql.query('UPDATE admin_users SET last_sign_in_at = $2 WHERE user_id = $1', [
    userId,
    new Date(nowMs),
  ]);
  await sql.query(
    `UPDATE admin_sessions SET ended_at = $2, ended_why = 'too_many' WHERE session_id IN (
       SELECT session_id FROM admin_sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2
        ORDER BY created_at DESC, session_id OFFSET $3)`,
    [userId, new Date(nowMs), SESSIONS_MAX],
  );
  return { sessionId, refreshToken, refreshSeconds: IDLE_MS / 1000 };
}

const insertToken = (sql: Sql, token: string, sessionId: string, nowMs: number): Promise<object[]> =>
  sql.query(
    'INSERT INTO admin_refresh_tokens (token_hash, session_id, made_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
    [hashOf(token), sessionId, new Date(nowMs)],
  );

interface TokenRow {
  readonly sessionId: string;
  readonly userId: string;
  readonly username: string;
  readonly createdAt: Date;
  readonly replacedAt: Date | null;
}

/**
 * Uses a refresh token up and answers the next (RFC 9700 section 4.14). One that was used before ends its session, unless
 * that was just now and nobody has used the next: then the answer was lost, and the same successor is answered again.
 */
export async function refreshSession(
  sql: Sql,
  token: string,
  place: Place,
  { clock, refreshSecret }: SessionDeps,
): Promise<Refreshed> {
  const nowMs = clock.now();
  const refreshToken = successorOf(token, refreshSecret);
  const [row] = await sql.query<TokenRow>(
    `SELECT s.session_id AS "sessionId", s.user_id AS "userId", u.username, s.created_at AS "createdAt",
            t.replaced_at AS "replacedAt"
       FROM admin_refresh_tokens t
       JOIN admin_sessions s ON s.session_id = t.session_id
       JOIN admin_users u ON u.user_id = s.user_id
      WHERE t.token_hash = $1 AND s.ended_at IS NULL AND s.expires_at > $2 AND u.disabled_at IS NULL
        FOR UPDATE OF t, s`,
    [hashOf(token), new Date(nowMs)],
  );
  if (row === undefined) return { kind: 'unknown' };
  const { sessionId, userId, username, replacedAt } = row;
  const isLate = replacedAt !== null && nowMs - replacedAt.getTime() > LOST_REPLY_MS;
  if (isLate || (replacedAt !== null && (await isUsed(sql, refreshToken)))) {
    await endSession(sql, sessionId, 'refresh_reused', nowMs);
    return { kind: 'reused', userId, username, sessionId };
  }
  const expiresAtMs = Math.min(nowMs + IDLE_MS, row.createdAt.getTime() + LIFE_MS);
  if (replacedAt === null) {
    await sql.query('UPDATE admin_refresh_tokens SET replaced_at = $2 WHERE token_hash = $1', [
      hashOf(token),
      new Date(nowMs),
    ]);
    await insertToken(sql, refreshToken, sessionId, nowMs);
    await sql.query(
      'UPDATE admin_sessions SET last_used_at = $2, expires_at = $3, address = $4, user_agent = $5 WHERE session_id = $1',
      [sessionId, new Date(nowMs), new Date(expiresAtMs), place.address, place.client],
    );
  }
  return {
    kind: 'fresh',
    userId,
    session: { sessionId, refreshToken, refreshSeconds: Math.floor((expiresAtMs - nowMs) / 1000) },
  };
}

/** Asked after the session is locked: whoever uses the token at the same time is then done. */
async function isUsed(sql: Sql, token: string): Promise<boolean> {
  const rows = await sql.query(
    'SELECT 1 FROM admin_refresh_tokens WHERE token_hash = $1 AND replaced_at IS NOT NULL',
    [hashOf(token)],
  );
  return rows.length > 0;
}

const endSession = (sql: Sql, sessionId: string, why: EndedWhy, nowMs: number): Promise<object[]> =>
  sql.query('UPDATE admin_sessions SET ended_at = $2, ended_why = $3 WHERE session_id = $1', [
    sessionId,
    new Date(nowMs),
    why,
  ]);

/** Ends sessions of somebody: all, one, or all but one. Answers how many ended. */
export async function endSessions(
  sql: Sql,
  which: { readonly userId: string; readonly only?: string; readonly allBut?: string },
  why: EndedWhy,
  clock: Pick<Clock, 'now'>,
): Promise<number> {
  const rows = await sql.query(
    `UPDATE admin_sessions SET ended_at = $2, ended_why = $3
      WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2
        AND ($4::text IS NULL OR session_id = $4) AND ($5::text IS NULL OR session_id <> $5)
      RETURNING session_id`,
    [which.userId, new Date(clock.now()), why, which.only ?? null, which.allBut ?? null],
  );
  return rows.length;
}

interface SessionRow {
  readonly sessionId: string;
  readonly createdAt: Date;
  readonly lastUsedAt: Date;
  readonly expiresAt: Date;
  readonly address: string;
  readonly client: string;
}

/** Somebody's living sessions, newest first. */
export async function listSessions(sql: Sql, userId: string, nowMs: number): Promise<SessionDescription[]> {
  const rows = await sql.query<SessionRow>(
    `SELECT session_id AS "sessionId", created_at AS "createdAt", last_used_at AS "lastUsedAt", expires_at AS "expiresAt",
            address, user_agent AS client
       FROM admin_sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2
      ORDER BY created_at DESC, session_id LIMIT $3`,
    [userId, new Date(nowMs), SESSIONS_MAX],
  );
  return rows.map(({ createdAt, lastUsedAt, expiresAt, ...rest }) => ({
    ...rest,
    createdAtMs: createdAt.getTime(),
    lastUsedAtMs: lastUsedAt.getTime(),
    expiresAtMs: expiresAt.getTime(),
  }));
}

const KEPT_MS = 30 * 24 * 3_600_000;

/** Forgets sessions that ended a month ago or more, with their tokens; at most 1000. Answers how many. */
export async function forgetSessions(sql: Sql, nowMs: number): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM admin_sessions WHERE session_id IN (
       SELECT session_id FROM admin_sessions WHERE expires_at < $1 ORDER BY expires_at LIMIT 1000) RETURNING session_id`,
    [new Date(nowMs - KEPT_MS)],
  );
  return rows.length;
}
