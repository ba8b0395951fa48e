import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { ArchivedRow } from './archived-event.js';

/** A part of the archive by the time it was archived, UTC ms: after `fromMs`, up to `toMs`. */
export interface Slice {
  readonly role: RoleName;
  readonly gameId?: string | undefined;
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * What the archive has and a role has neither in its inbox, whatever the content, nor in a letter somebody decides or
 * decided about, nor on its way. Days below a game's floor are left out: their inbox may be gone, and they are refused.
 */
const LACKING = `
    FROM events e JOIN games g ON g.game_id = e.game_id AND g.dedupe_floor <= e.dedupe_day
   WHERE e.archived_at > to_timestamp($2::float8 / 1000) AND e.archived_at <= to_timestamp($3::float8 / 1000)
     AND ($4::text IS NULL OR e.game_id = $4)
     AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.role = $1 AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity)
     AND NOT EXISTS (SELECT 1 FROM dead_letters d
                      WHERE d.role = $1 AND d.dedupe_day = e.dedupe_day AND d.identity = e.identity
                        AND d.content_hash = e.content_hash AND d.state IN ('open', 'dropped', 'corrected'))
     AND NOT EXISTS (SELECT 1 FROM resubmissions r
                      WHERE r.role = $1 AND r.dedupe_day = e.dedupe_day AND r.identity = e.identity
                        AND r.content_hash = e.content_hash AND r.state = 'pending')`;

/** Of a row `e` of the archive: an ArchivedRow. */
export const ARCHIVED_COLUMNS = `e.game_id AS "gameId", e.player_id AS "playerId", e.event_id AS id, e.type, e.ts_ms AS "tsMs", e.payload,
         e.identity, e.dedupe_day AS "dedupeDay", encode(e.content_hash, 'hex') AS "contentHash",
         e.received_at_ms AS "receivedAtMs", e.src, e.key_id AS "keyId", e.definition_version AS "definitionVersion",
         e.schema_version AS "schemaVersion", e.context`;

const READ = `
  SELECT ${ARCHIVED_COLUMNS} ${LACKING} LIMIT $5`;
const COUNT = `SELECT count(*) AS count ${LACKING}`;

const valuesOf = ({ role, fromMs, toMs, gameId }: Slice): unknown[] => [role, fromMs, toMs, gameId ?? null];

/** Events of a slice that a role lacks, `limit` at most. What is submitted is not lacking any more: ask again for the next. */
export const lackingOf = (sql: Sql, slice: Slice, limit: number): Promise<ArchivedRow[]> =>
  sql.query<ArchivedRow>(READ, [...valuesOf(slice), limit]);

export async function countLacking(sql: Sql, slice: Slice): Promise<number> {
  const [row] = await sql.query<{ count: number }>(COUNT, valuesOf(slice));
  return row?.count ?? 0;
}

/** The database's time, UTC ms: what `archived_at` is made of. */
export async function databaseNow(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ now: number }>('SELECT extract(epoch FROM now())::float8 * 1000 AS now');
  if (row === undefined) throw new Error('the database has no time');
  return row.now;
}

/** When the oldest event was archived that anything may lack, UTC ms; null when there is none. Reads the whole archive. */
export async function archivedSince(sql: Sql): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(
    'SELECT extract(epoch FROM min(archived_at))::float8 * 1000 AS ms FROM events',
  );
  return row?.ms ?? null;
}

/** Makes this transaction the only one that reconciles a role; false when another is. */
export async function holdReconciler(transaction: Sql, role: RoleName): Promise<boolean> {
  const [row] = await transaction.query<{ held: boolean }>(
    "SELECT pg_try_advisory_xact_lock(hashtext('fairtally.reconcile'), hashtext($1)) AS held",
    [role],
  );
  return row?.held === true;
}

/** Up to when a role was compared with the archive, UTC ms; null when it never was. */
export async function reconciledThrough(sql: Sql, role: RoleName): Promise<number | null> {
  const [row] = await sql.query<{ ms: number }>(
    'SELECT extract(epoch FROM through)::float8 * 1000 AS ms FROM reconciled WHERE role = $1',
    [role],
  );
  return row?.ms ?? null;
}

export async function setReconciledThrough(sql: Sql, role: RoleName, throughMs: number): Promise<void> {
  await sql.query(
    `INSERT INTO reconciled (role, through) VALUES ($1, to_timestamp($2::float8 / 1000))
     ON CONFLICT (role) DO UPDATE SET through = excluded.through`,
    [role, throughMs],
  );
}
