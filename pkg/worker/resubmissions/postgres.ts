import type { Delivery } from '../../bus/port.js';
import type { AdmittedEvent } from '../../contract/event.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';

/** A resubmission as the role's handler gets it. Its message id is of its own: what an event did to a process before says nothing of this try. */
export interface Resubmission {
  readonly id: number;
  readonly delivery: Delivery;
}

/**
 * Rows are locked in the order of their ids, so that two operators wait for each other and never in a circle. What is on
 * its way already, by another letter or by the reconciler, is carried by that resubmission.
 */
const REDRIVE = `
  WITH chosen AS (
    UPDATE dead_letters SET state = 'redriven', action_id = $2
     WHERE id IN (SELECT id FROM dead_letters WHERE id = ANY($1::bigint[]) AND state = 'open' ORDER BY id FOR UPDATE)
    RETURNING id, role, game_id, player_id, dedupe_day, identity, content_hash, transport_position, body, headers
  ), sent AS (
    INSERT INTO resubmissions (role, game_id, player_id, dedupe_day, identity, content_hash, position, body, headers, letter_id, action_id)
    SELECT role, coalesce(game_id, ''), coalesce(player_id, ''), dedupe_day, identity, content_hash, transport_position, body, headers, id, $2
      FROM chosen ORDER BY id
    ON CONFLICT DO NOTHING RETURNING 1
  )
  SELECT count(*) AS sent FROM sent`;

/**
 * Sends open letters to their roles again; letters in any other state stay as they are. One statement, so a crash leaves
 * each letter either open or on its way.
 *
 * @returns how many went on their way
 */
export async function redriveLetters(sql: Sql, ids: readonly number[], actionId: number): Promise<number> {
  const [row] = await sql.query<{ sent: number }>(REDRIVE, [ids, actionId]);
  return row?.sent ?? 0;
}

const SUBMIT = `
  INSERT INTO resubmissions (role, game_id, player_id, dedupe_day, identity, content_hash, position, body, headers, action_id)
  SELECT role, game_id, player_id, dedupe_day, identity, decode(content_hash, 'hex'), position, body, '{}', $9
    FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::uuid[], $6::text[], $7::text[], $8::text[])
      WITH ORDINALITY AS g (role, game_id, player_id, dedupe_day, identity, content_hash, position, body, n)
   ORDER BY n
  ON CONFLICT DO NOTHING RETURNING 1`;

/** An event for one role, with its body. */
export interface RoleCopy {
  readonly role: RoleName;
  readonly event: AdmittedEvent;
  readonly body: string;
}

/** @returns how many went on their way; the others were on it already */
export async function submitCopies(sql: Sql, copies: readonly RoleCopy[], actionId: number): Promise<number> {
  const rows = await sql.query(SUBMIT, copyColumns(copies, actionId));
  return rows.length;
}

const SET_ASIDE = `
  INSERT INTO resubmissions (role, game_id, player_id, dedupe_day, identity, content_hash, position, body, headers, action_id, is_aside)
  SELECT role, game_id, player_id, dedupe_day, identity, decode(content_hash, 'hex'), position, body, '{}', $9, true
    FROM unnest($1::text[], $2::text[], $3::text[], $4::date[], $5::uuid[], $6::text[], $7::text[], $8::text[])
      WITH ORDINALITY AS g (role, game_id, player_id, dedupe_day, identity, content_hash, position, body, n)
   ORDER BY n
  ON CONFLICT (role, dedupe_day, identity, content_hash) WHERE state = 'pending' AND identity IS NOT NULL
  DO UPDATE SET is_aside = true`;

/** Takes events off a bus: each is on its way to its role afterwards, and known to have been set aside, whoever sent it. */
export async function setAsideCopies(sql: Sql, copies: readonly RoleCopy[], actionId: number): Promise<void> {
  const once = new Map(copies.map((copy) => [`${copy.event.identity} ${copy.event.contentHash}`, copy]));
  await sql.query(SET_ASIDE, copyColumns([...once.values()], actionId));
}

const copyColumns = (copies: readonly RoleCopy[], actionId: number): unknown[] => [
  copies.map(({ role }) => role),
  copies.map(({ event }) => event.gameId),
  copies.map(({ event }) => event.playerId),
  copies.map(({ event }) => event.dedupeDay),
  copies.map(({ event }) => event.identity),
  copies.map(({ event }) => event.contentHash),
  copies.map(({ event }) => `resubmission/${event.identity}`),
  copies.map(({ body }) => body),
  actionId,
];

const ASIDE = `FROM resubmissions r WHERE r.role = $1 AND r.state = 'pending' AND r.is_aside`;

/** A player of a game. */
export interface PlayerOfGame {
  readonly gameId: string;
  readonly playerId: string;
}

/** Players of whom an event was set aside and has not taken effect yet. */
export const playersAside = (sql: Sql, role: RoleName): Promise<PlayerOfGame[]> =>
  sql.query(`SELECT DISTINCT r.game_id AS "gameId", r.player_id AS "playerId" ${ASIDE}`, [role]);

/** When the oldest event was received that is set aside, UTC ms; null when none is. */
export async function oldestAside(sql: Sql, role: RoleName): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(
    `SELECT min((r.body::jsonb ->> 'receivedAtMs')::bigint) AS ms ${ASIDE}`,
    [role],
  );
  return row?.ms ?? null;
}

/** Whether there is something to do for a role: resubmissions, and letters that may have to be closed. */
export async function isAnythingToDo(
  sql: Sql,
  role: RoleName,
): Promise<{ readonly isPending: boolean; readonly isOpen: boolean }> {
  const [row] = await sql.query<{ isPending: boolean; isOpen: boolean }>(
    `SELECT EXISTS (SELECT 1 FROM resubmissions WHERE role = $1 AND state = 'pending') AS "isPending",
            EXISTS (SELECT 1 FROM dead_letters WHERE role = $1 AND state IN ('open', 'redriven')) AS "isOpen"`,
    [role],
  );
  return row ?? { isPending: false, isOpen: false };
}

/** Makes this transaction the only one that takes resubmissions of a role; false when another is. A killed worker's is free at once. */
export async function holdRole(transaction: Sql, role: RoleName): Promise<boolean> {
  const [row] = await transaction.query<{ held: boolean }>(
    "SELECT pg_try_advisory_xact_lock(hashtext('fairtally.resubmissions'), hashtext($1)) AS held",
    [role],
  );
  return row?.held === true;
}

interface PendingRow {
  readonly id: number;
  readonly game_id: string;
  readonly player_id: string;
  readonly position: string;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

const PENDING = `
  SELECT r.id, r.game_id, r.player_id, r.position, r.body, r.headers FROM resubmissions r
   WHERE r.role = $1 AND r.state = 'pending'
     AND $3 = ((r.game_id, r.player_id) IN (SELECT * FROM unnest($4::text[], $5::text[])))
   ORDER BY r.id LIMIT $2`;

/**
 * The oldest resubmissions of a role that are pending, in order.
 *
 * @param whose those of these players alone, or of all others
 */
export async function pendingOf(
  sql: Sql,
  role: RoleName,
  limit: number,
  whose: { readonly players: readonly PlayerOfGame[]; readonly isTheirs: boolean },
): Promise<Resubmission[]> {
  const { players, isTheirs } = whose;
  const rows = await sql.query<PendingRow>(PENDING, [
    role,
    limit,
    isTheirs,
    players.map(({ gameId }) => gameId),
    players.map(({ playerId }) => playerId),
  ]);
  return rows.map(({ id, game_id, player_id, position, body, headers }) => ({
    id,
    delivery: {
      gameId: game_id,
      playerId: player_id,
      messageId: `resubmission/${String(id)}`,
      position,
      body,
      headers,
      attempt: 1,
    },
  }));
}

export interface Closed {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
}

/**
 * What took effect closes its letter, also one that could not be read before; what did not is open again. The letter is that
 * of the event, whoever sent it: one that was redriven while this was on its way has no resubmission of its own.
 * Letters are locked before resubmissions and in the order of their ids, as a redrive does it.
 */
const CLOSE_LETTERS = `
  UPDATE dead_letters d SET
    state = CASE WHEN held.failed THEN 'open' ELSE 'applied' END,
    closed_at = CASE WHEN held.failed THEN NULL ELSE now() END,
    closed_by = CASE WHEN held.failed THEN NULL ELSE 'worker' END,
    closed_why = CASE WHEN held.failed THEN NULL ELSE 'the event took effect' END
    FROM (SELECT l.id, c.failed
            FROM (SELECT r.id = ANY($2::bigint[]) AS failed,
                         coalesce(r.letter_id, (SELECT o.id FROM dead_letters o
                                                 WHERE o.role = r.role AND o.dedupe_day = r.dedupe_day AND o.identity = r.identity
                                                   AND o.content_hash = r.content_hash)) AS letter_id
                    FROM resubmissions r WHERE r.id = ANY($1::bigint[]) AND r.state = 'pending') c
            JOIN dead_letters l ON l.id = c.letter_id AND l.state IN ('redriven', 'open')
           ORDER BY l.id FOR UPDATE OF l) held
   WHERE d.id = held.id`;

const CLOSE = `
  UPDATE resubmissions r SET closed_at = now(),
         state = CASE
           WHEN r.id = ANY($2::bigint[]) THEN 'failed'
           WHEN EXISTS (SELECT 1 FROM inbox i WHERE i.role = r.role AND i.dedupe_day = r.dedupe_day AND i.identity = r.identity
                           AND (i.settled_at < r.made_at OR i.definition_version = 0)) THEN 'skipped'
           ELSE 'done' END
   WHERE r.id = ANY($1::bigint[]) AND r.state = 'pending'
  RETURNING r.state`;

/** Closes what was settled. @param failed those of `ids` that became letters (again) */
export async function closeResubmissions(
  transaction: Sql,
  ids: readonly number[],
  failed: readonly number[],
): Promise<Closed> {
  await transaction.query(CLOSE_LETTERS, [ids, failed]);
  const rows = await transaction.query<{ state: keyof Closed }>(CLOSE, [ids, failed]);
  return countStates(rows.map((row) => ({ ...row, count: 1 })));
}

function countStates(rows: readonly { readonly state: string; readonly count: number }[]): Closed {
  const of = (state: string): number =>
    rows.filter((row) => row.state === state).reduce((sum, { count }) => sum + count, 0);
  return { done: of('done'), skipped: of('skipped'), failed: of('failed') };
}

export interface ActionProgress extends Closed {
  readonly pending: number;
}

/** What became of the resubmissions of an action. */
export async function progressOf(sql: Sql, actionId: number): Promise<ActionProgress> {
  const rows = await sql.query<{ state: string; count: number }>(
    'SELECT state, count(*) AS count FROM resubmissions WHERE action_id = $1 GROUP BY state',
    [actionId],
  );
  const pending = rows.find(({ state }) => state === 'pending')?.count ?? 0;
  return { ...countStates(rows), pending };
}

/** How many wait for a role, counted up to a bound. */
export async function backlogOf(sql: Sql, role: RoleName, countMax: number): Promise<number> {
  const [row] = await sql.query<{ count: number }>(
    `SELECT count(*) AS count FROM (
       SELECT 1 FROM resubmissions WHERE role = $1 AND state = 'pending' LIMIT $2
     ) AS waiting`,
    [role, countMax],
  );
  return row?.count ?? 0;
}

/** Resubmissions are work, not history: letters, corrections and actions are what stays. */
const KEEP = '7 days';
const PURGED_MAX = 5_000;

/** Removes what was closed long ago, a bounded number of rows. @returns how many */
export async function purgeClosed(sql: Sql): Promise<number> {
  const rows = await sql.query(
    `DELETE FROM resubmissions WHERE id IN (
       SELECT id FROM resubmissions WHERE state <> 'pending' AND closed_at < now() - interval '${KEEP}'
        LIMIT ${String(PURGED_MAX)} FOR UPDATE SKIP LOCKED) RETURNING 1`,
  );
  return rows.length;
}
