import { pageOf, readCursor, type CursorPart, type PageRequest } from '../../contract/keyset-page.js';
import type { Sql } from '../../postgres/port.js';
import { COUNT_MAX, instantOf, instantOrNull, type Schemas } from './answers.js';

interface ProfileRow {
  readonly playerId: string;
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
  readonly events: number;
  readonly hidden: boolean;
}

const PROFILE = `p.player_id AS "playerId", p.first_seen_ms AS "firstSeenMs", p.last_seen_ms AS "lastSeenMs", p.events,
  coalesce(s.hidden, false) AS hidden`;
/** The states are asked one by one: joined as tables are, those of all players before a page would be read with it. */
const PROFILES = `
  player_profiles p LEFT JOIN LATERAL (
    SELECT t.hidden, t.changed_at, t.changed_by, t.reason FROM player_state t
     WHERE t.game_id = p.game_id AND t.player_id = p.player_id LIMIT 1) AS s ON true`;

/** Between the prefix and the prefix with the last of all characters: a range of the primary key, by bytes. */
const SEARCH = `
  SELECT ${PROFILE} FROM ${PROFILES}
   WHERE p.game_id = $1 AND p.player_id >= $2 AND p.player_id < $3 AND p.player_id > $4
   ORDER BY p.player_id LIMIT $5`;

const LAST_CHARACTER = '\u{10ffff}';
const isAnything: CursorPart = () => true;
const isPlayerId: CursorPart = (text) => /^[^\0\p{Surrogate}]{1,128}$/u.test(text);

/** Players whose id begins with a text, by the bytes of their ids. Costs the page, whatever the number of players. */
export async function searchPlayers(
  sql: Sql,
  gameId: string,
  { prefix = '', limit, cursor }: PageRequest & { readonly prefix?: string | undefined },
): Promise<Schemas['PlayerPage']> {
  const [after] = readCursor(cursor, [isPlayerId, isAnything]) ?? [''];
  const rows = await sql.query<ProfileRow>(SEARCH, [
    gameId,
    prefix,
    prefix + LAST_CHARACTER,
    after,
    limit + 1,
  ]);
  const { items, nextCursor } = pageOf(rows, limit, ({ playerId }) => [playerId, ''], playerItem);
  return { items: [...items], nextCursor };
}

const playerItem = ({ firstSeenMs, lastSeenMs, ...row }: ProfileRow): Schemas['PlayerItem'] => ({
  playerId: row.playerId,
  firstSeenAt: instantOf(firstSeenMs),
  lastSeenAt: instantOf(lastSeenMs),
  events: row.events,
  hidden: row.hidden,
});

const counted = (from: string): string =>
  `(SELECT count(*) FROM (SELECT 1 FROM ${from} LIMIT ${String(COUNT_MAX)}) AS few)`;

const PLAYER = `
  SELECT ${PROFILE}, s.changed_at AS "changedAt", s.changed_by AS "changedBy", s.reason,
         ${counted('receipts r WHERE r.game_id = $1 AND r.player_id = $2')} AS receipts,
         ${counted('suspicious_events f WHERE f.game_id = $1 AND f.player_id = $2')} AS findings,
         ${counted("cases c WHERE c.game_id = $1 AND c.player_id = $2 AND c.state = 'open'")} AS "openCases"
    FROM ${PROFILES} WHERE p.game_id = $1 AND p.player_id = $2`;

interface PlayerRow extends ProfileRow, VisibilityRow {
  readonly receipts: number;
  readonly findings: number;
  readonly openCases: number;
}

/** A player without the progress; null for one of whom the archive has nothing. */
export async function readPlayer(
  sql: Sql,
  gameId: string,
  playerId: string,
): Promise<Omit<Schemas['Player'], 'progress'> | null> {
  const [row] = await sql.query<PlayerRow>(PLAYER, [gameId, playerId]);
  if (row === undefined) return null;
  const { receipts, findings, openCases } = row;
  return {
    profile: playerItem(row),
    visibility: visibilityOf(row, false),
    counts: { receipts, findings, openCases },
  };
}

interface VisibilityRow {
  readonly hidden: boolean;
  readonly changedAt: Date | null;
  readonly changedBy: string | null;
  readonly reason: string | null;
}

const VISIBILITY = `
  SELECT s.hidden, s.changed_at AS "changedAt", s.changed_by AS "changedBy", s.reason FROM player_state s
   WHERE s.game_id = $1 AND s.player_id = $2`;

const NEVER_CHANGED: VisibilityRow = { hidden: false, changedAt: null, changedBy: null, reason: null };

/** @param changed whether the request that asks made it so */
export async function readVisibility(
  sql: Sql,
  gameId: string,
  playerId: string,
  changed: boolean,
): Promise<Schemas['PlayerVisibility']> {
  const [row] = await sql.query<VisibilityRow>(VISIBILITY, [gameId, playerId]);
  return visibilityOf(row ?? NEVER_CHANGED, changed);
}

const visibilityOf = (
  { hidden, changedAt, changedBy, reason }: VisibilityRow,
  changed: boolean,
): Schemas['PlayerVisibility'] => ({
  hidden,
  changed,
  changedAt: instantOrNull(changedAt?.getTime() ?? null),
  changedBy,
  reason,
});

/** Whether the archive has anything of a player, or somebody decided about them. */
export async function isPlayerKnown(sql: Sql, gameId: string, playerId: string): Promise<boolean> {
  const rows = await sql.query(
    `SELECT 1 FROM player_profiles WHERE game_id = $1 AND player_id = $2
     UNION ALL SELECT 1 FROM player_state WHERE game_id = $1 AND player_id = $2 LIMIT 1`,
    [gameId, playerId],
  );
  return rows.length > 0;
}

const XP_EVENTS_MAX = 50_000;

const XP_BY_DAY = `
  SELECT to_char(to_timestamp(day * 86400) AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, sum(delta_xp)::bigint AS "deltaXp", count(*) AS events
    FROM (SELECT ts_ms / 86400000 AS day, delta_xp FROM progress_events
           WHERE game_id = $1 AND player_id = $2 AND ts_ms >= $3 ORDER BY ts_ms DESC LIMIT $4) AS latest
   GROUP BY latest.day ORDER BY latest.day`;

interface DayRow {
  readonly day: string;
  readonly deltaXp: number;
  readonly events: number;
}

/**
 * The XP by day (UTC), up to now. What stood before the first day is the total less what the days added.
 *
 * @param totalXp what the player has now
 */
export async function readXpSeries(
  sql: Sql,
  { gameId, playerId, sinceMs, totalXp }: XpQuery,
): Promise<Schemas['XpSeries']> {
  const rows = await sql.query<DayRow>(XP_BY_DAY, [gameId, playerId, sinceMs, XP_EVENTS_MAX]);
  const startsAtXp = totalXp - rows.reduce((sum, { deltaXp }) => sum + deltaXp, 0);
  let total = startsAtXp;
  const points = rows.map(({ day, deltaXp, events }) => ({
    day,
    deltaXp,
    totalXp: (total += deltaXp),
    events,
  }));
  const truncated = rows.reduce((sum, { events }) => sum + events, 0) >= XP_EVENTS_MAX;
  return { points, startsAtXp, truncated };
}

export interface XpQuery {
  readonly gameId: string;
  readonly playerId: string;
  readonly sinceMs: number;
  readonly totalXp: number;
}

const PLACES_MAX = 200;

/** Cycles that are open first, then those that closed last. */
const PLACES = `
  SELECT s.board, s.cycle, s.partition, s.score, s.reached_at AS "reachedAtMs", c.final_at IS NOT NULL AS "isFinal"
    FROM board_scores s JOIN board_cycles c USING (game_id, board, cycle, partition)
   WHERE s.game_id = $1 AND s.subject = $2 AND s.subject <> ''
   ORDER BY c.final_at DESC NULLS FIRST, c.closes_at NULLS LAST, s.board, s.cycle, s.partition LIMIT $3`;

export interface PlaceRow {
  readonly board: string;
  /** `<window>:<name>` */
  readonly cycle: string;
  readonly partition: string;
  readonly score: number;
  readonly reachedAtMs: number;
  readonly isFinal: boolean;
}

/** Where a player has scores, 200 at most. Reads all places of the player: an index leads to them. */
export async function listPlaces(
  sql: Sql,
  gameId: string,
  playerId: string,
): Promise<{ readonly places: readonly PlaceRow[]; readonly truncated: boolean }> {
  const rows = await sql.query<PlaceRow>(PLACES, [gameId, playerId, PLACES_MAX + 1]);
  return { places: rows.slice(0, PLACES_MAX), truncated: rows.length > PLACES_MAX };
}
