import type { RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import { NOT_ARCHIVED } from './postgres.js';
import type { Stranger } from './port.js';

const HORIZON = 'SELECT extract(epoch FROM settled_horizon())::float8 * 1000 AS ms';

/**
 * What was settled before this is seen by every later statement, or was rolled back. Whole UTC ms of the database's clock. Not
 * inside a transaction: there the server shows the sessions as they were when it was first asked.
 */
export async function settledHorizon(db: Database): Promise<number> {
  const [row] = await db.query<{ ms: number }>(HORIZON);
  if (row === undefined) throw new Error('the database has no time');
  return Math.floor(row.ms);
}

/** Makes this transaction the only one that follows a role; false when another is. */
export async function holdFollower(transaction: Sql, role: RoleName): Promise<boolean> {
  const [row] = await transaction.query<{ held: boolean }>(
    "SELECT pg_try_advisory_xact_lock(hashtext('fairtally.follow'), hashtext($1)) AS held",
    [role],
  );
  return row?.held === true;
}

const THROUGH = `
  SELECT extract(epoch FROM coalesce((SELECT through FROM archive_followed WHERE role = $1),
                                     (SELECT min(created_at) FROM games), 'epoch'))::float8 * 1000 AS ms`;

/** Up to when a role was followed, whole UTC ms; before it ever was, when the first game was made. */
export async function followedThrough(sql: Sql, role: RoleName): Promise<number> {
  const [row] = await sql.query<{ ms: number }>(THROUGH, [role]);
  return Math.floor(row?.ms ?? 0);
}

const FOLLOW = `
  WITH found AS (
    SELECT i.role, i.dedupe_day, i.identity, i.game_id, i.lane, i.content_hash FROM inbox i
     WHERE i.role = $1 AND i.definition_version > 0 AND i.settled_at > to_timestamp($2::float8 / 1000)
       AND i.settled_at <= to_timestamp($3::float8 / 1000) AND ${NOT_ARCHIVED('i', 'i.content_hash')}
     LIMIT $4 + 1
  ), counted AS (SELECT count(*) AS found FROM found), kept AS (
    INSERT INTO unarchived (role, dedupe_day, identity, game_id, lane, content_hash)
    SELECT found.* FROM found, counted WHERE counted.found <= $4 ON CONFLICT DO NOTHING
  ), moved AS (
    INSERT INTO archive_followed AS f (role, through)
    SELECT $1, to_timestamp($3::float8 / 1000) FROM counted WHERE counted.found <= $4
    ON CONFLICT (role) DO UPDATE SET through = excluded.through
  )
  SELECT found FROM counted`;

/**
 * Holds what a role settled after one instant and up to another against the archive, keeps what that lacks, and moves on; does
 * nothing when that is more than `limit`.
 *
 * @returns how many it was, `limit` + 1 at most
 */
export async function follow(
  sql: Sql,
  role: RoleName,
  { fromMs, toMs }: { readonly fromMs: number; readonly toMs: number },
  limit: number,
): Promise<number> {
  const [row] = await sql.query<{ found: number }>(FOLLOW, [role, fromMs, toMs, limit]);
  return row?.found ?? 0;
}

const FORGET_ARCHIVED = `
  DELETE FROM unarchived u WHERE u.role = $1 AND NOT (${NOT_ARCHIVED('u', 'u.content_hash')})`;

/** Forgets what the archive has by now. @returns how many it still has not */
export async function forgetArchived(sql: Sql, role: RoleName): Promise<number> {
  await sql.query(FORGET_ARCHIVED, [role]);
  const [row] = await sql.query<{ count: number }>(
    'SELECT count(*) AS count FROM unarchived WHERE role = $1',
    [role],
  );
  return row?.count ?? 0;
}

const KEPT = `
  SELECT u.dedupe_day AS "dedupeDay", u.identity, encode(u.content_hash, 'hex') AS "contentHash", u.lane
    FROM unarchived u WHERE u.role = $1 AND u.game_id = $2 AND ${NOT_ARCHIVED('u', 'u.content_hash')} LIMIT $3`;

/** What the archive lacked of a game when the role was followed, and still lacks. */
export const keptStrangersOf = (
  sql: Sql,
  role: RoleName,
  gameId: string,
  limit: number,
): Promise<Stranger[]> => sql.query<Stranger>(KEPT, [role, gameId, limit]);
