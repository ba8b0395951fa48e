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
/**
 * The archive has no index by key, which every event would pay for: its last hour is looked at, the last of it first, as far
 * back as a hundred events of the key take.
 */
const NOTED_WITHIN = '5 minutes';
const KEY_LOOKS_BACK = ['30 seconds', NOTED_WITHIN];
const KEY_LOOKS_BACK_MAX = '1 hour';

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
const ofKey = (back: string): string =>
  recent(`key_id = $2 AND archived_at > now() - interval '${back}'`, 'archived_at DESC');
const OF_KEY = KEY_LOOKS_BACK.map(ofKey);
const OF_KEY_AT_MOST = ofKey(KEY_LOOKS_BACK_MAX);

/** The signing keys of each minute are noted soon after it: of one that was not in a day the hour has nothing. */
const KEY_IS_IDLE = `
  SELECT 1 FROM pipeline_rolled_up
   WHERE through > now() - interval '${NOTED_WITHIN}' AND NOT EXISTS (
     SELECT 1 FROM key_uses WHERE game_id = $1 AND key_id = $2
        AND last_used_ms > extract(epoch FROM now() - interval '1 day') * 1000)`;

/** The last events of a player, by their own time, or of a key within the hour; as the archive has them. */
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

async function eventsOfKey(sql: Sql, gameId: string, keyId: string): Promise<EventRow[]> {
  const values = [gameId, keyId, ROLES];
  let rows: EventRow[] = [];
  for (const statement of OF_KEY) {
    rows = await sql.query<EventRow>(statement, values);
    if (rows.length >= RECENT_EVENTS) return rows;
  }
  const isIdle = (await sql.query(KEY_IS_IDLE, [gameId, keyId])).length > 0;
  return isIdle ? rows : sql.query<EventRow>(OF_KEY_AT_MOST, values);
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
