import { laneOf } from '../../kernel/lanes.js';
import type { RoleName } from '../../kernel/roles.js';
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

const CANDIDATES = `
  SELECT role, game_id AS "gameId", player_id AS "playerId", dedupe_day AS "dedupeDay", identity,
         encode(content_hash, 'hex') AS "contentHash"
    FROM dead_letters WHERE id = ANY($1::bigint[]) AND state = 'open' AND identity IS NOT NULL`;

const DROP = `
  UPDATE dead_letters d SET action_id = $2, closed_at = now(),
         state = CASE WHEN took_effect THEN 'applied' ELSE 'dropped' END,
         closed_by = CASE WHEN took_effect THEN 'worker' ELSE $3 END,
         closed_why = CASE WHEN took_effect THEN 'the event took effect' ELSE $4 END
    FROM (SELECT l.id, EXISTS (SELECT 1 FROM inbox i WHERE i.role = l.role AND i.dedupe_day = l.dedupe_day AND i.identity = l.identity
                                  AND i.content_hash = l.content_hash AND i.definition_version > 0) AS took_effect
            FROM (SELECT id, role, dedupe_day, identity, content_hash FROM dead_letters
                   WHERE id = ANY($1::bigint[]) AND state = 'open' ORDER BY id FOR UPDATE) l) chosen
   WHERE d.id = chosen.id
  RETURNING d.state, d.role, d.dedupe_day AS "dedupeDay", coalesce(d.identity::text, '') AS identity`;

const UNBAR = `
  DELETE FROM inbox i USING unnest($1::text[], $2::date[], $3::uuid[]) AS g (role, dedupe_day, identity)
   WHERE (i.role, i.dedupe_day, i.identity) = (g.role, g.dedupe_day, g.identity) AND i.definition_version = 0`;

export interface Dropped {
  readonly dropped: number;
  /** Whose event had taken effect, and that are closed as such now. */
  readonly applied: number;
}

/**
 * Decides that open letters never take effect; letters in any other state stay as they are. What is dropped is barred in
 * its role, so that a redelivery is a duplicate of nothing.
 */
export async function dropLetters(
  db: Database,
  ids: readonly number[],
  actionId: number,
  { actor, why }: Decision,
): Promise<Dropped> {
  const bars = await db.query<Bar>(CANDIDATES, [ids]);
  await ensureMonths(db, bars);
  return db.transaction(async (sql) => {
    const barred = await barIdentities(sql, bars);
    const rows = await sql.query<Pick<Bar, 'role' | 'dedupeDay' | 'identity'> & { state: string }>(DROP, [
      ids,
      actionId,
      actor,
      why,
    ]);
    const decided = new Set(rows.map(keyOf));
    // A letter that somebody else decided about in between keeps its way.
    const tooMuch = bars.filter((bar) => isBarred(barred, bar) && !decided.has(keyOf(bar)));
    if (tooMuch.length > 0) {
      await sql.query(UNBAR, [
        tooMuch.map(({ role }) => role),
        tooMuch.map(({ dedupeDay }) => dedupeDay),
        tooMuch.map(({ identity }) => identity),
      ]);
    }
    const dropped = rows.filter(({ state }) => state === 'dropped').length;
    return { dropped, applied: rows.length - dropped };
  });
}
