import type { JsonObject } from '../contract/event.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { Sql } from '../postgres/port.js';

/** An archived event, and what became of its identity in each role. */
export interface EventRow {
  readonly player_id: string;
  readonly event_id: string;
  readonly identity: string;
  readonly type: string;
  readonly ts_ms: number;
  readonly payload: JsonObject;
  /** Roles in whose inbox this content stands, each with the definition version it entered with; 0: barred, without effect. */
  readonly settled: Readonly<Partial<Record<RoleName, number>>>;
  /** Roles in whose inbox other content with the same identity stands. */
  readonly conflicting: readonly RoleName[];
  readonly letters: readonly RoleName[];
  /** Roles in which an operator decided that it takes no effect: a letter dropped or corrected, a correction for another role. */
  readonly decided: readonly RoleName[];
  /** Roles it is on its way to, beside the bus. */
  readonly resubmitted: readonly RoleName[];
}

/** Named one by one, so that the primary key, which begins with the role, finds the row. */
const EVERY_ROLE = ROLES.map((role) => `'${role}'`).join(', ');

const rolesWith = (
  table: string,
  condition: string,
  [gathered, none] = ['array_agg(DISTINCT o.role)', '{}'],
): string =>
  `coalesce((SELECT ${gathered} FROM ${table} o
    WHERE o.role IN (${EVERY_ROLE}) AND o.dedupe_day = e.dedupe_day AND o.identity = e.identity AND ${condition}), '${none}')`;

/** Not a condition: the planner would go through all the open letters of a role for each event, where it believes that they are few. */
const lettersIn = (states: string): string =>
  `array_agg(DISTINCT o.role) FILTER (WHERE o.state IN (${states}))`;

/** The roles that an event, if it is a correction, was not made for. */
const OTHER_ROLES = `
  coalesce((SELECT array_agg(r.role) FROM corrections c, unnest('{${ROLES.join(', ')}}'::text[]) AS r (role)
    WHERE c.dedupe_day = e.dedupe_day AND c.identity = e.identity AND r.role NOT IN ('archive', c.role)), '{}')`;

const EVENT_COLUMNS = `
         e.player_id, e.event_id, e.identity, e.type, e.ts_ms, e.payload,
         ${rolesWith('inbox', 'o.content_hash = e.content_hash', ['jsonb_object_agg(o.role, o.definition_version)', '{}'])} AS settled,
         ${rolesWith('inbox', 'o.content_hash <> e.content_hash')} AS conflicting,
         ${rolesWith('dead_letters', 'o.content_hash = e.content_hash', [lettersIn("'open'"), '{}'])} AS letters,
         ${rolesWith('dead_letters', 'o.content_hash = e.content_hash', [lettersIn("'dropped', 'corrected'"), '{}'])} || ${OTHER_ROLES} AS decided,
         ${rolesWith('resubmissions', "o.content_hash = e.content_hash AND o.state = 'pending'")} AS resubmitted`;

const EVENTS = `
  SELECT ${EVENT_COLUMNS}
    FROM events e WHERE e.game_id = $1 AND e.player_id = ANY($2)`;

const EVENTS_OF_ONE = `
  SELECT ${EVENT_COLUMNS}
    FROM events e WHERE e.game_id = $1 AND e.player_id = $2 AND (e.ts_ms, e.identity) > ($3, $4)
   ORDER BY e.ts_ms, e.identity LIMIT $5`;

/** So that no statement of a player with very many events takes longer than a statement may. */
const EVENTS_PER_STATEMENT = 10_000;
const BEFORE_ALL = { ts_ms: -1, identity: '00000000-0000-0000-0000-000000000000' };

/** The events of one player, by their time, some thousands at once. */
export async function* eventPages(sql: Sql, gameId: string, player: string): AsyncGenerator<EventRow[]> {
  let after: Pick<EventRow, 'ts_ms' | 'identity'> = BEFORE_ALL;
  for (;;) {
    const values = [gameId, player, after.ts_ms, after.identity, EVENTS_PER_STATEMENT];
    const page: EventRow[] = await sql.query<EventRow>(EVENTS_OF_ONE, values);
    const last = page.at(-1);
    if (last !== undefined) yield page;
    if (last === undefined || page.length < EVENTS_PER_STATEMENT) return;
    after = last;
  }
}

export async function eventsOf(sql: Sql, gameId: string, players: readonly string[]): Promise<EventRow[]> {
  const [player, ...others] = players;
  if (player === undefined || others.length > 0) return sql.query<EventRow>(EVENTS, [gameId, players]);
  const events: EventRow[] = [];
  for await (const page of eventPages(sql, gameId, player)) for (const event of page) events.push(event);
  return events;
}
