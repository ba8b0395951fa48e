import { isProblemCode, problemKind } from '../../contract/problem.js';
import type { Sql } from '../../postgres/port.js';
import { instantOf, instantOrNull, type Schemas } from './answers.js';
import { RECENT_EVENTS } from './events.postgres.js';

interface RefusalRow {
  readonly refusedAt: Date;
  readonly isVerified: boolean;
  readonly keyId: string;
  readonly playerId: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly tsMs: number | null;
  readonly src: 'server' | 'client' | null;
  readonly build: string | null;
  readonly platform: string | null;
  readonly code: string;
  readonly pointer: string | null;
  readonly detail: string | null;
  readonly snippet: string | null;
}

/** Of those without a right signature: anybody who knows the id of a key can make some. */
const UNVERIFIED_MAX = 20;

const latest = (column: string, isVerified: boolean, max: number): string => `
  (SELECT refused_at AS "refusedAt", is_verified AS "isVerified", key_id AS "keyId", player_id AS "playerId",
          event_id AS "eventId", type, ts_ms AS "tsMs", src, build, platform, code, pointer, detail, snippet
     FROM refusals WHERE game_id = $1 AND ${column} = $2 AND is_verified = ${String(isVerified)}
    ORDER BY refusal_id DESC LIMIT ${String(max)})`;
const refusalsOf = (column: string): string =>
  `${latest(column, true, RECENT_EVENTS)} UNION ALL ${latest(column, false, UNVERIFIED_MAX)}`;

const OF_PLAYER = refusalsOf('player_id');
const OF_KEY = refusalsOf('key_id');

/** The last that were refused of a player or of a key, as far as they could be told. In no order. */
export async function recentRefusals(
  sql: Sql,
  gameId: string,
  who: { readonly playerId: string } | { readonly keyId: string },
): Promise<Schemas['RecentEvent'][]> {
  const [statement, id] = 'playerId' in who ? [OF_PLAYER, who.playerId] : [OF_KEY, who.keyId];
  return (await sql.query<RefusalRow>(statement, [gameId, id])).map(refusedEventOf);
}

const refusedEventOf = ({ refusedAt, isVerified, tsMs, ...row }: RefusalRow): Schemas['RecentEvent'] => ({
  ...row,
  outcome: 'refused',
  receivedAt: instantOf(refusedAt.getTime()),
  at: instantOrNull(tsMs),
  verified: isVerified,
  detail: whyOf(row),
  payload: null,
  late: false,
  mapped: row.code !== 'unknown_type',
  replay: false,
  definitionVersion: null,
  roles: [],
});

/** In words: what the code says, and what was told beside it. */
function whyOf({ code, detail }: Pick<RefusalRow, 'code' | 'detail'>): string | null {
  if (!isProblemCode(code)) return detail;
  const kind = problemKind(code);
  if (detail !== null) return `${kind.title}: ${detail}`;
  return kind.detail === undefined ? `${kind.title}.` : `${kind.title}. ${kind.detail}`;
}
