import { laneOf } from '../../kernel/lanes.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import { ensureMonth } from '../inbox/postgres.js';
import type { Decision } from './port.js';

/** An identity that shall never take effect in a role. */
export interface Bar {
  readonly role: RoleName;
  readonly gameId: string;
  readonly playerId: string;
  readonly dedupeDay: string;
  readonly identity: string;
  readonly contentHash: string;
}

/** The key of a bar in its table; uuid with dashes or without. */
const keyOf = (bar: Pick<Bar, 'role' | 'dedupeDay' | 'identity'>): string =>
  [bar.role, bar.dedupeDay, bar.identity.replaceAll('-', '')].join(' ');

/**
 * An inbox row bars an identity, not a content, so one content must not bar another that may yet take effect: it is the
 * archive's, or the archive has none and no other waits in the role's letters. Below the floor nothing takes effect anyway.
 * Rows are made in key order, before any letter is locked, as a role's own transaction does it.
 */
const BAR = `
  INSERT INTO inbox (role, dedupe_day, identity, game_id, lane, content_hash, definition_version)
  SELECT g.role, g.dedupe_day, g.identity, g.game_id, g.lane, decode(g.content_hash, 'hex'), 0
    FROM unnest($1::text[], $2::date[], $3::uuid[], $4::text[], $5::smallint[], $6::text[])
      AS g (role, dedupe_day, identity, game_id, lane, content_hash)
    JOIN games ON games.game_id = g.game_id AND games.dedupe_floor <= g.dedupe_day
    LEFT JOIN inbox a ON a.role = 'archive' AND a.dedupe_day = g.dedupe_day AND a.identity = g.identity AND a.definition_version > 0
   WHERE a.content_hash = decode(g.content_hash, 'hex')
      OR (a.role IS NULL AND NOT EXISTS (
           SELECT 1 FROM dead_letters d
            WHERE d.role = g.role AND d.dedupe_day = g.dedupe_day AND d.identity = g.identity
              AND d.content_hash <> decode(g.content_hash, 'hex') AND d.state IN ('open', 'redriven')))
   ORDER BY g.role COLLATE "C", g.dedupe_day, g.identity
  ON CONFLICT DO NOTHING
  RETURNING role, dedupe_day AS "dedupeDay", identity`;

/** Bars what can be barred. @returns the keys that were barred now */
export async function barIdentities(sql: Sql, bars: readonly Bar[]): Promise<ReadonlySet<string>> {
  if (bars.length === 0) return new Set();
  const rows = await sql.query<Pick<Bar, 'role' | 'dedupeDay' | 'identity'>>(BAR, [
    bars.map(({ role }) => role),
    bars.map(({ dedupeDay }) => dedupeDay),
    bars.map(({ identity }) => identity),
    bars.map(({ gameId }) => gameId),
    bars.map(({ gameId, playerId }) => laneOf(gameId, playerId)),
    bars.map(({ contentHash }) => contentHash),
  ]);
  return new Set(rows.map(keyOf));
}

export const isBarred = (barred: ReadonlySet<string>, bar: Bar): boolean => barred.has(keyOf(bar));

/** The partitions that rows of these days need. Outside of the transaction: making one locks the whole table. */
export async function ensureMonths(
  sql: Sql,
  days: readonly { readonly gameId: string; readonly dedupeDay: string }[],
): Promise<void> {
  const rows = await sql.query<{ month: string }>(
    `SELECT DISTINCT date_trunc('month', g.dedupe_day)::date AS month FROM unnest($1::text[], $2::date[]) AS g (game_id, dedupe_day)
       JOIN games ON games.game_id = g.game_id AND games.dedupe_floor <= g.dedupe_day ORDER BY 1`,
    [days.map(({ gameId }) => gameId), days.map(({ dedupeDay }) => dedupeDay)],
  );
  for (const { month } of rows) await ensureMonth(sql, month);
}

/** By its content: a message that cannot be read may yet take effect as an event that nobody knows, so its way is its own. */
const MAY_BE_DROPPED = "(state = 'open' OR (state = ANY($2::text[]) AND identity IS NOT NULL))";

const CANDIDATES = `
  SELECT id, role, game_id AS "gameId", player_id AS "playerId", dedupe_day AS "dedupeDay", identity,
         encode(content_hash, 'hex') AS "contentHash"
    FROM dead_letters WHERE id = ANY($1::bigint[]) AND ${MAY_BE_DROPPED} AND identity IS NOT NULL`;

/** What others have counted and the archive has not must come to the archive. */
const COUNTED_ELSEWHERE = `
  SELECT d.id FROM dead_letters d
   WHERE d.id = ANY($1::bigint[]) AND d.role = 'archive' AND d.identity IS NOT NULL
     AND EXISTS (SELECT 1 FROM inbox i WHERE i.role = ANY($2::text[]) AND i.dedupe_day = d.dedupe_day AND i.identity = d.identity
                    AND i.content_hash = d.content_hash AND i.definition_version > 0)
     AND NOT EXISTS (SELECT 1 FROM inbox a WHERE a.role = 'archive' AND a.dedupe_day = d.dedupe_day AND a.identity = d.identity
                        AND a.definition_version > 0)`;

const DROP = `
  UPDATE dead_letters d SET action_id = $3, closed_at = now(),
         state = CASE WHEN took_effect THEN 'applied' ELSE 'dropped' END,
         closed_by = CASE WHEN took_effect THEN 'worker' ELSE $4 END,
         closed_why = CASE WHEN took_effect THEN 'the event took effect' ELSE $5 END
    FROM (SELECT l.id, EXISTS (SELECT 1 FROM inbox i WHERE i.role = l.role AND i.dedupe_day = l.dedupe_day AND i.identity = l.identity
                                  AND i.content_hash = l.content_hash AND i.definition_version > 0) AS took_effect
            FROM (SELECT id, role, dedupe_day, identity, content_hash FROM dead_letters
                   WHERE id = ANY($1::bigint[]) AND ${MAY_BE_DROPPED} ORDER BY id FOR UPDATE) l) chosen
   WHERE d.id = chosen.id
  RETURNING d.id, d.state`;

/** A worker that has it in hand finds it barred, and nothing pending to close. */
const CANCEL = `
  UPDATE resubmissions r SET state = 'skipped', closed_at = now()
    FROM dead_letters d
   WHERE d.id = ANY($1::bigint[]) AND r.state = 'pending' AND r.role = d.role AND r.dedupe_day = d.dedupe_day
     AND r.identity = d.identity AND r.content_hash = d.content_hash`;

const UNBAR = `
  DELETE FROM inbox i USING unnest($1::text[], $2::date[], $3::uuid[]) AS g (role, dedupe_day, identity)
   WHERE (i.role, i.dedupe_day, i.identity) = (g.role, g.dedupe_day, g.identity) AND i.definition_version = 0`;

export interface Dropped {
  readonly dropped: number;
  /** Whose event had taken effect, and that are closed as such now. */
  readonly applied: number;
  /** Letters of the archive whose events other roles have counted: they stay open. */
  readonly kept: number;
}

/** What is dropped for whom, and why. */
export interface Drop {
  readonly ids: readonly number[];
  /** Whether letters that are on their way again are dropped too, and their way with them. */
  readonly isOnItsWayToo: boolean;
  readonly actionId: number;
  readonly decision: Decision;
}

type Candidate = Bar & { readonly id: number };

/** What the archive does not have takes effect in no role. */
const barsOf = (letter: Candidate): Bar[] =>
  letter.role === 'archive' ? ROLES.map((role) => ({ ...letter, role })) : [letter];

/**
 * Decides that letters never take effect; those that were decided about stay as they are. What is dropped is barred in its
 * role, so that a redelivery is a duplicate of nothing.
 */
export async function dropLetters(db: Database, drop: Drop): Promise<Dropped> {
  const { ids, isOnItsWayToo, actionId, decision } = drop;
  const states = isOnItsWayToo ? ['redriven'] : [];
  const letters = await db.query<Candidate>(CANDIDATES, [ids, states]);
  await ensureMonths(db, letters);
  return db.transaction(async (sql) => {
    const bars = letters.flatMap(barsOf);
    const barred = await barIdentities(sql, bars);
    // Asked when the bars stand: from here on no role can count an event of these that it has not counted.
    const others = ROLES.filter((role) => role !== 'archive');
    const counted = await sql.query<{ id: number }>(COUNTED_ELSEWHERE, [ids, others]);
    const kept = new Set(counted.map(({ id }) => id));
    const free = ids.filter((id) => !kept.has(id));
    const values = [free, states, actionId, decision.actor, decision.why];
    const rows = await sql.query<{ id: number; state: string }>(DROP, values);
    const decided = new Set(rows.map(({ id }) => id));
    if (isOnItsWayToo) await sql.query(CANCEL, [[...decided]]);
    // A letter that somebody else decided about in between keeps its way.
    const wanted = new Set(
      letters
        .filter(({ id }) => decided.has(id))
        .flatMap(barsOf)
        .map(keyOf),
    );
    await unbar(sql, bars.filter((bar) => isBarred(barred, bar) && !wanted.has(keyOf(bar)))); // prettier-ignore
    const dropped = rows.filter(({ state }) => state === 'dropped').length;
    return { dropped, applied: rows.length - dropped, kept: kept.size };
  });
}

async function unbar(sql: Sql, bars: readonly Bar[]): Promise<void> {
  if (bars.length === 0) return;
  await sql.query(UNBAR, [
    bars.map(({ role }) => role),
    bars.map(({ dedupeDay }) => dedupeDay),
    bars.map(({ identity }) => identity),
  ]);
}
