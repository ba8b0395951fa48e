import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { ArchivedRow } from '../reconcile/archived-event.js';
import { ARCHIVED_COLUMNS } from '../reconcile/postgres.js';
import type { SettledRow } from './postgres.js';

/** A row of a walk: `isPast` says that its role settled it by the instant that was asked for. */
export interface WalkedRow extends SettledRow {
  readonly isPast: boolean;
}

/** Where a walk stands: players in byte order, of each the events by their time. */
export type WalkPlace = Pick<ArchivedRow, 'playerId' | 'tsMs' | 'identity'>;

const WALK = `
  SELECT ${ARCHIVED_COLUMNS}, i.definition_version AS "enteredUnder",
         coalesce(i.content_hash = e.content_hash, true) AS "isSameContent", e.dedupe_day < g.dedupe_floor AS "isBelowFloor",
         coalesce(i.settled_at <= to_timestamp($3::float8 / 1000), false) AS "isPast"
    FROM events e JOIN games g ON g.game_id = e.game_id
    LEFT JOIN inbox i ON i.role = $1 AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity
   WHERE e.game_id = $2 AND (e.player_id, e.ts_ms, e.identity) > ($4, $5, $6)
   ORDER BY e.player_id, e.ts_ms, e.identity LIMIT $7`;

/** The next events of a game's archive after a place, joined with the inbox of a role, `limit` at most. */
export const walkArchive = (
  sql: Sql,
  role: RoleName,
  gameId: string,
  pastMs: number,
  after: WalkPlace,
  limit: number,
): Promise<WalkedRow[]> =>
  sql.query<WalkedRow>(WALK, [role, gameId, pastMs, after.playerId, after.tsMs, after.identity, limit]);

/** What took effect in a role. */
export interface Entered {
  readonly dedupeDay: string;
  readonly identity: string;
  readonly contentHash: string;
  readonly enteredUnder: number;
}

const ENTERED = `
  SELECT i.dedupe_day AS "dedupeDay", i.identity, encode(i.content_hash, 'hex') AS "contentHash",
         i.definition_version AS "enteredUnder"
    FROM inbox i
   WHERE i.role = $1 AND i.game_id = $2 AND i.definition_version > 0 AND i.settled_at > to_timestamp($3::float8 / 1000)
     AND i.settled_at <= coalesce(to_timestamp($4::float8 / 1000), 'infinity')
   LIMIT $5`;

/** A stretch of time, UTC ms: after the one and up to the other; null: without an end. */
export interface Stretch {
  readonly fromMs: number;
  readonly toMs: number | null;
}

/** What took effect in a role in a stretch of time, `limit` at most. */
export const enteredIn = (
  sql: Sql,
  role: RoleName,
  gameId: string,
  { fromMs, toMs }: Stretch,
  limit: number,
): Promise<Entered[]> => sql.query<Entered>(ENTERED, [role, gameId, fromMs, toMs, limit]);

const ARCHIVED = `
  SELECT ${ARCHIVED_COLUMNS}
    FROM unnest($2::date[], $3::uuid[], $4::text[]) AS g (dedupe_day, identity, content_hash)
    JOIN events e ON e.dedupe_day = g.dedupe_day AND e.identity = g.identity AND e.content_hash = decode(g.content_hash, 'hex')
   WHERE e.game_id = $1 AND e.archived_at > to_timestamp($5::float8 / 1000)
     AND e.archived_at <= coalesce(to_timestamp($6::float8 / 1000), 'infinity')`;

/** Of what took effect, the events that were archived in a stretch of time. */
export const archivedOf = (
  sql: Sql,
  gameId: string,
  entered: readonly Entered[],
  { fromMs, toMs }: Stretch,
): Promise<ArchivedRow[]> =>
  sql.query<ArchivedRow>(ARCHIVED, [
    gameId,
    entered.map(({ dedupeDay }) => dedupeDay),
    entered.map(({ identity }) => identity),
    entered.map(({ contentHash }) => contentHash),
    fromMs,
    toMs,
  ]);

/** How many events the profiles of a game count: as many as its archive has, or it has lost some. */
export async function profiledEvents(sql: Sql, gameId: string): Promise<number> {
  const [row] = await sql.query<{ events: number }>(
    'SELECT coalesce(sum(events), 0)::bigint AS events FROM player_profiles WHERE game_id = $1',
    [gameId],
  );
  return row?.events ?? 0;
}
