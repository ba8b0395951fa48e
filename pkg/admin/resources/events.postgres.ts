import type { JsonObject } from '../../contract/event.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import { instantOf, type Schemas } from './answers.js';

interface EventRow {
  readonly receivedAtMs: number;
  readonly tsMs: number;
  readonly eventId: string;
  readonly type: string;
  readonly playerId: string;
  readonly keyId: string;
  readonly src: 'server' | 'client';
  readonly payload: JsonObject;
  readonly context: JsonObject | null;
  readonly definitionVersion: number;
  /** Roles with an inbox row, and whether it is a bar. */
  readonly settled: readonly (readonly [role: RoleName, definitionVersion: number])[];
  readonly dead: readonly RoleName[];
}

export const RECENT_EVENTS = 100;

const recent = (where: string, order: string): string => `
  SELECT e.received_at_ms AS "receivedAtMs", e.ts_ms AS "tsMs", e.event_id AS "eventId", e.type, e.player_id AS "playerId",
         e.key_id AS "keyId", e.src, e.payload, e.context, e.definition_version AS "definitionVersion",
         (SELECT coalesce(json_agg(json_build_array(i.role, i.definition_version)), '[]') FROM inbox i
           WHERE i.role = ANY($3::text[]) AND i.dedupe_day = e.dedupe_day AND i.identity = e.identity) AS settled,
         (SELECT coalesce(json_agg(d.role), '[]') FROM dead_letters d
           WHERE d.role = ANY($3::text[]) AND d.dedupe_day = e.dedupe_day AND d.identity = e.identity AND d.content_hash = e.content_hash
             AND d.state IN ('open', 'redriven')) AS dead
    FROM (SELECT * FROM events WHERE game_id = $1 AND ${where} ORDER BY ${order} LIMIT ${String(RECENT_EVENTS)}) AS e
   ORDER BY e.received_at_ms DESC`;

const OF_PLAYER = recent('player_id = $2', 'ts_ms DESC');
const OF_KEY = recent(
  'key_id = $2 AND archived_at > $4::timestamptz AND archived_at <= $5::timestamptz',
  'archived_at DESC',
);

/** When a key was last used, as the minutes of the pipeline have noted it, and up to when they have. */
const KEY_USE = `
  SELECT now() AS now, (SELECT through FROM pipeline_rolled_up) AS through,
         (SELECT last_used_ms FROM key_uses WHERE game_id = $1 AND key_id = $2) AS "lastUsedMs"`;

/** The last events of a player, by their own time, or of a key from the half hour before its last use; as the archive has them. */
export async function recentEvents(
  sql: Sql,
  gameId: string,
  who: { readonly playerId: string } | { readonly keyId: string },
): Promise<Schemas['RecentEvent'][]> {
  const rows =
    'playerId' in who
      ? await sql.query<EventRow>(OF_PLAYER, [gameId, who.playerId, ROLES])
      : await eventsOfKey(sql, gameId, who.keyId);
  return rows.map(eventOf);
}

const SOON_MS = 30_000;
/** What is younger may not be noted yet. */
const NOTED_AFTER_MS = 5 * 60_000;
const HALF_AN_HOUR_MS = 30 * 60_000;
/** From the door to the archive. */
const ARCHIVED_WITHIN_MS = 10 * 60_000;

interface KeyUse {
  readonly now: Date;
  readonly through: Date | null;
  readonly lastUsedMs: number | null;
}

/**
 * The archive has no index by key, which every event would pay for. So the last minutes of it are looked through, and then the half
 * hour before the key was last used, the last of it first; of a key that was never used the last minutes alone.
 */
async function eventsOfKey(sql: Sql, gameId: string, keyId: string): Promise<EventRow[]> {
  const [use] = await sql.query<KeyUse>(KEY_USE, [gameId, keyId]);
  if (use === undefined) throw new Error('a query without a table gives one row');
  const nowMs = use.now.getTime();
  const notedMs = nowMs - NOTED_AFTER_MS;
  const latest = await eventsWithin(sql, [gameId, keyId], {
    sinceMs: [nowMs - SOON_MS, notedMs],
    untilMs: nowMs,
    enough: RECENT_EVENTS,
  });
  const isNoted = use.through !== null && use.through.getTime() > notedMs;
  const lastMs = isNoted ? use.lastUsedMs : nowMs;
  if (latest.length >= RECENT_EVENTS || lastMs === null) return latest;
  const older = await eventsWithin(sql, [gameId, keyId], {
    sinceMs: [SOON_MS, NOTED_AFTER_MS, HALF_AN_HOUR_MS].map((ms) => lastMs - ms).filter((ms) => ms < notedMs),
    untilMs: Math.min(notedMs, lastMs + ARCHIVED_WITHIN_MS),
    enough: RECENT_EVENTS - latest.length,
  });
  return [...latest, ...older];
}

interface Spans {
  /** One after the other, until there are enough. */
  readonly sinceMs: readonly number[];
  readonly untilMs: number;
  readonly enough: number;
}

async function eventsWithin(
  sql: Sql,
  key: readonly [gameId: string, keyId: string],
  { sinceMs, untilMs, enough }: Spans,
): Promise<EventRow[]> {
  let rows: EventRow[] = [];
  for (const ms of sinceMs) {
    rows = await sql.query<EventRow>(OF_KEY, [...key, ROLES, new Date(ms), new Date(untilMs)]);
    if (rows.length >= enough) break;
  }
  return rows;
}

const eventOf = ({ context, ...row }: EventRow): Schemas['RecentEvent'] => ({
  outcome: 'accepted',
  receivedAt: instantOf(row.receivedAtMs),
  at: instantOf(row.tsMs),
  eventId: row.eventId,
  type: row.type,
  playerId: row.playerId,
  keyId: row.keyId,
  src: row.src,
  build: textOf(context, 'build'),
  platform: textOf(context, 'platform'),
  code: null,
  pointer: null,
  detail: null,
  payload: row.payload,
  late: context?.['late'] === true,
  mapped: context?.['mapped'] !== false,
  replay: context?.['replay'] === true,
  definitionVersion: row.definitionVersion,
  verified: true,
  snippet: null,
  roles: ROLES.map((role) => ({ role, state: stateOf(role, row) })),
});

const textOf = (context: JsonObject | null, key: string): string | null => {
  const value = context?.[key];
  return typeof value === 'string' ? value : null;
};

function stateOf(
  role: RoleName,
  { settled, dead }: Pick<EventRow, 'settled' | 'dead'>,
): Schemas['RoleOutcome']['state'] {
  const row = settled.find(([name]) => name === role);
  if (row !== undefined) return row[1] === 0 ? 'barred' : 'applied';
  return dead.includes(role) ? 'dead' : 'waiting';
}
