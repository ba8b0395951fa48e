import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { ActionItem, Decision, Letter, LetterFilter, LetterItem, LetterState } from './port.js';

export const PAGE_MAX = 1_000;

const MATCHES = `
      ($1::text IS NULL OR d.role = $1) AND ($2::text IS NULL OR d.game_id = $2)
  AND ($3::text IS NULL OR d.player_id = $3) AND ($4::text IS NULL OR d.reason = $4)
  AND ($5::text IS NULL OR d.state = $5) AND ($6::float8 IS NULL OR d.last_seen_at >= to_timestamp($6 / 1000))
  AND ($7::float8 IS NULL OR d.last_seen_at < to_timestamp($7 / 1000)) AND ($8::bigint[] IS NULL OR d.id = ANY($8))`;

const valuesOf = (filter: LetterFilter): unknown[] => [
  filter.role ?? null,
  filter.gameId ?? null,
  filter.playerId ?? null,
  filter.reason ?? null,
  filter.state ?? null,
  filter.sinceMs ?? null,
  filter.beforeMs ?? null,
  filter.ids ?? null,
];

const ITEM = `d.id, d.role, coalesce(d.game_id, '') AS "gameId", coalesce(d.player_id, '') AS "playerId",
  d.event_id AS "eventId", d.event_type AS "eventType", d.reason, d.attempts,
  extract(epoch FROM d.first_seen_at)::float8 * 1000 AS "firstSeenMs",
  extract(epoch FROM d.last_seen_at)::float8 * 1000 AS "lastSeenMs", d.state`;

/**
 * A page of letters, newest first.
 *
 * @param page `beforeId`: the last id of the page before, or null; `limit`: 1..PAGE_MAX
 */
export const listLetters = (
  sql: Sql,
  filter: LetterFilter,
  page: { readonly beforeId: number | null; readonly limit: number },
): Promise<LetterItem[]> =>
  sql.query<LetterItem>(
    `SELECT ${ITEM} FROM dead_letters d
      WHERE ${MATCHES} AND ($9::bigint IS NULL OR d.id < $9) ORDER BY d.id DESC LIMIT $10`,
    [...valuesOf(filter), page.beforeId, Math.min(page.limit, PAGE_MAX)],
  );

export interface LetterTally {
  readonly role: RoleName;
  readonly reason: string;
  readonly state: LetterState;
  readonly letters: number;
}

/** How many letters fit, by role, reason and state. */
export const tallyLetters = (sql: Sql, filter: LetterFilter): Promise<LetterTally[]> =>
  sql.query<LetterTally>(
    `SELECT d.role, d.reason, d.state, count(*) AS letters FROM dead_letters d WHERE ${MATCHES}
      GROUP BY d.role, d.reason, d.state ORDER BY d.role, d.reason, d.state LIMIT ${String(PAGE_MAX)}`,
    valuesOf(filter),
  );

/** The ids of a chunk of letters, oldest first, after one id and up to another: letters come in the order of first death. */
export async function letterIds(
  sql: Sql,
  filter: LetterFilter,
  range: { readonly afterId: number; readonly upToId: number; readonly limit: number },
): Promise<number[]> {
  const rows = await sql.query<{ id: number }>(
    `SELECT d.id FROM dead_letters d WHERE ${MATCHES} AND d.id > $9 AND d.id <= $10 ORDER BY d.id LIMIT $11`,
    [...valuesOf(filter), range.afterId, range.upToId, range.limit],
  );
  return rows.map(({ id }) => id);
}

/** The id of the newest letter; 0 when there is none. */
export async function newestLetterId(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ id: number }>('SELECT coalesce(max(id), 0) AS id FROM dead_letters');
  return row?.id ?? 0;
}

const LETTER = `
  SELECT ${ITEM}, d.detail, d.body, d.headers, d.transport_position AS position, d.code_version AS "codeVersion",
         d.dedupe_day AS "dedupeDay", replace(d.identity::text, '-', '') AS identity,
         encode(d.content_hash, 'hex') AS "contentHash", extract(epoch FROM d.closed_at)::float8 * 1000 AS "closedMs",
         d.closed_by AS "closedBy", d.closed_why AS "closedWhy", c.event_id AS "correctedBy",
         CASE WHEN a.id IS NULL THEN NULL ELSE json_build_object('id', a.id, 'action', a.action, 'actor', a.actor,
           'why', a.why, 'madeMs', extract(epoch FROM a.made_at)::float8 * 1000) END AS action
    FROM dead_letters d LEFT JOIN operator_actions a ON a.id = d.action_id LEFT JOIN corrections c ON c.letter_id = d.id
   WHERE d.id = $1`;

/** Everything about one letter; null when there is none of this id. */
export async function readLetter(sql: Sql, id: number): Promise<Letter | null> {
  const [letter] = await sql.query<Letter>(LETTER, [id]);
  return letter ?? null;
}

/**
 * Records what somebody decides, before it is done.
 *
 * @param scope what it was asked for: ids or filters
 * @returns the id of the action
 */
export async function recordAction(
  sql: Sql,
  action: ActionItem['action'],
  { actor, why }: Decision,
  scope: object,
): Promise<number> {
  const [row] = await sql.query<{ id: number }>(
    'INSERT INTO operator_actions (action, actor, why, scope) VALUES ($1, $2, $3, $4::jsonb) RETURNING id',
    [action, actor, why, JSON.stringify(scope)],
  );
  if (row === undefined) throw new Error('the action was not recorded');
  return row.id;
}

/** The latest decisions, newest first. */
export const listActions = (sql: Sql, limit: number): Promise<ActionItem[]> =>
  sql.query<ActionItem>(
    `SELECT id, action, actor, why, extract(epoch FROM made_at)::float8 * 1000 AS "madeMs"
       FROM operator_actions ORDER BY id DESC LIMIT $1`,
    [Math.min(limit, PAGE_MAX)],
  );
