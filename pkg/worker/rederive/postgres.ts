import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { PlayerRef } from '../port.js';
import type { ArchivedRow } from '../reconcile/archived-event.js';
import { ARCHIVED_COLUMNS } from '../reconcile/postgres.js';
import type { Stranger } from './port.js';

/** An archived event, and how it stands in the inbox of a role. */
export interface SettledRow extends ArchivedRow {
  /** The definition version it entered with; 0: barred; null: it has not entered. */
  readonly enteredUnder: number | null;
  /** False when other content with the same identity entered. */
  readonly isSameContent: boolean;
  /** Its inbox row may be gone for good. */
  readonly isBelowFloor: boolean;
}

const SETTLED = `
  SELECT ${ARCHIVED_COLUMNS}, i.definition_version AS "enteredUnder",
         coalesce(i.content_hash = e.content_hash, true) AS "isSameContent", e.dedupe_day < g.dedupe_floor AS "isBelowFloor"
    FROM events e JOIN games g ON g.game_id = e.game_id
    LEFT JOIN inbox i ON i.role = $1 AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity
   WHERE e.game_id = $2 AND e.player_id = $3 LIMIT $4`;

/** The archive of one player joined with the inbox of a role, `limit` events at most. */
export const settledOf = (
  sql: Sql,
  role: RoleName,
  { gameId, playerId }: PlayerRef,
  limit: number,
): Promise<SettledRow[]> => sql.query<SettledRow>(SETTLED, [role, gameId, playerId, limit]);

/** Whether the archive lacks a content. `row` has dedupe_day and identity. */
export const NOT_ARCHIVED = (row: string, contentHash: string): string => `
  NOT EXISTS (SELECT FROM inbox a
               WHERE a.role = 'archive' AND a.dedupe_day = ${row}.dedupe_day AND a.identity = ${row}.identity
                 AND a.content_hash = ${contentHash} AND a.definition_version > 0)`;

const STRANGERS = `
  SELECT i.dedupe_day AS "dedupeDay", i.identity, encode(i.content_hash, 'hex') AS "contentHash", i.lane
    FROM inbox i
   WHERE i.role = $1 AND i.game_id = $2 AND i.lane = ANY($3::smallint[]) AND i.definition_version > 0
     AND i.settled_at > to_timestamp($4::float8 / 1000) AND ${NOT_ARCHIVED('i', 'i.content_hash')}
   LIMIT $5`;

/** @param sinceMs what was settled after this, UTC ms: as much of the inbox is read */
export const strangersOf = (
  sql: Sql,
  role: RoleName,
  gameId: string,
  lanes: readonly number[],
  sinceMs: number,
  limit: number,
): Promise<Stranger[]> => sql.query<Stranger>(STRANGERS, [role, gameId, lanes, sinceMs, limit]);

/** What is known of a stranger's owner. */
export interface StrangerOwner {
  readonly identity: string;
  /** Of a letter of the archive that was not applied; null: there is none, or it does not tell. */
  readonly letterOf: string | null;
  /** Of an event on its way to the archive beside the bus. */
  readonly resubmissionOf: string | null;
  /** Whether the archive has other content with this identity, and whether that is the player's. */
  readonly isOtherContent: boolean;
  readonly isPlayers: boolean;
}

const STILL_STRANGE = `
  SELECT g.identity,
         (SELECT d.player_id FROM dead_letters d
           WHERE d.role = 'archive' AND d.dedupe_day = g.dedupe_day AND d.identity = g.identity
             AND d.content_hash = decode(g.content_hash, 'hex') AND d.state <> 'applied' LIMIT 1) AS "letterOf",
         (SELECT r.player_id FROM resubmissions r
           WHERE r.role = 'archive' AND r.dedupe_day = g.dedupe_day AND r.identity = g.identity
             AND r.content_hash = decode(g.content_hash, 'hex') AND r.state = 'pending' LIMIT 1) AS "resubmissionOf",
         EXISTS (SELECT FROM inbox o WHERE o.role = 'archive' AND o.dedupe_day = g.dedupe_day AND o.identity = g.identity
                    AND o.definition_version > 0) AS "isOtherContent",
         EXISTS (SELECT FROM events e WHERE e.game_id = $4 AND e.player_id = $5 AND e.dedupe_day = g.dedupe_day
                    AND e.identity = g.identity) AS "isPlayers"
    FROM unnest($1::date[], $2::uuid[], $3::text[]) AS g (dedupe_day, identity, content_hash)
   WHERE ${NOT_ARCHIVED('g', "decode(g.content_hash, 'hex')")}`;

/** Those of the strangers that the archive still does not have. */
export const stillStrange = (
  sql: Sql,
  strangers: readonly Stranger[],
  { gameId, playerId }: PlayerRef,
): Promise<StrangerOwner[]> =>
  sql.query<StrangerOwner>(STILL_STRANGE, [
    strangers.map(({ dedupeDay }) => dedupeDay),
    strangers.map(({ identity }) => identity),
    strangers.map(({ contentHash }) => contentHash),
    gameId,
    playerId,
  ]);

/** Held until the end of the transaction: archive and profile of the player, read one after the other, agree. */
export async function holdArchive(sql: Sql, { gameId, playerId }: PlayerRef): Promise<void> {
  await sql.query('SELECT 1 FROM player_profiles WHERE game_id = $1 AND player_id = $2 FOR SHARE', [
    gameId,
    playerId,
  ]);
}
