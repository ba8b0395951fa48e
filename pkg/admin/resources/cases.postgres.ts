import {
  isInstantText,
  pageOf,
  readCursor,
  type CursorPart,
  type PageRequest,
} from '../../contract/keyset-page.js';
import type { HideRequest } from '../../leaderboard/hide.js';
import type { Sql } from '../../postgres/port.js';
import { instantOf, instantOrNull, pageAnswer, type Schemas } from './answers.js';
import { findingsOfCase, type FindingRange } from './findings.postgres.js';

type CaseState = Schemas['CaseState'];

interface CaseRow extends FindingRange {
  readonly caseId: number;
  readonly state: CaseState;
  readonly openedAt: Date;
  readonly findings: number;
  readonly latestFindingAt: Date;
  /** With microseconds, which a Date does not have. */
  readonly latestFindingAtText: string;
  readonly maxAbsZ: number;
  readonly assigneeId: string | null;
  readonly assigneeName: string | null;
  readonly decidedAt: Date | null;
  readonly decidedBy: string | null;
  readonly decisionReason: string | null;
  readonly hid: boolean;
  readonly playerHidden: boolean;
}

const CASE = `
  SELECT c.case_id AS "caseId", c.player_id AS "playerId", c.metric, c.state, c.opened_at AS "openedAt", c.findings,
         c.first_finding_id AS "firstFindingId", c.last_finding_id AS "lastFindingId",
         c.latest_finding_at AS "latestFindingAt", c.latest_finding_at::text AS "latestFindingAtText",
         c.max_abs_z AS "maxAbsZ", c.assignee AS "assigneeId", u.username AS "assigneeName", c.decided_at AS "decidedAt",
         c.decided_by AS "decidedBy", c.decision_reason AS "decisionReason", c.hid, coalesce(p.hidden, false) AS "playerHidden"
    FROM cases c
    LEFT JOIN admin_users u ON u.user_id = c.assignee
    LEFT JOIN LATERAL (
      SELECT s.hidden FROM player_state s WHERE s.game_id = c.game_id AND s.player_id = c.player_id LIMIT 1) AS p ON true`;

const caseOf = (row: CaseRow): Schemas['Case'] => ({
  caseId: row.caseId,
  playerId: row.playerId,
  metric: row.metric,
  state: row.state,
  openedAt: instantOf(row.openedAt.getTime()),
  findings: row.findings,
  latestFindingAt: instantOf(row.latestFindingAt.getTime()),
  maxAbsZ: row.maxAbsZ,
  assignee:
    row.assigneeId === null ? null : { userId: row.assigneeId, username: row.assigneeName ?? row.assigneeId },
  decidedAt: instantOrNull(row.decidedAt?.getTime() ?? null),
  decidedBy: row.decidedBy,
  decisionReason: row.decisionReason,
  hid: row.hid,
  playerHidden: row.playerHidden,
});

export interface CaseQuery extends PageRequest {
  readonly gameId: string;
  readonly state?: CaseState | undefined;
  /** A user id; null: nobody; undefined: whoever. */
  readonly assignee?: string | null | undefined;
  readonly playerId?: string | undefined;
  readonly metric?: string | undefined;
}

const isCaseId: CursorPart = (text) => /^[1-9]\d{0,15}$/.test(text);

/** Cases of a game, those with the latest finding first. */
export async function listCases(
  sql: Sql,
  { gameId, state, assignee, playerId, metric, limit, cursor }: CaseQuery,
): Promise<Schemas['CasePage']> {
  const [latestAt, caseId] = readCursor(cursor, [isInstantText, isCaseId]) ?? [null, null];
  const values: unknown[] = [gameId, latestAt, caseId, limit + 1];
  const and = (column: string, value: string | null | undefined): string => {
    if (value === undefined) return '';
    return value === null ? ` AND c.${column} IS NULL` : ` AND c.${column} = $${String(values.push(value))}`;
  };
  const filter =
    and('state', state) + and('assignee', assignee) + and('player_id', playerId) + and('metric', metric);
  const rows = await sql.query<CaseRow>(
    `${CASE} WHERE c.game_id = $1${filter}
        AND ($2::timestamptz IS NULL OR (c.latest_finding_at, c.case_id) < ($2, $3::bigint))
      ORDER BY c.latest_finding_at DESC, c.case_id DESC LIMIT $4`,
    values,
  );
  const page = pageOf(rows, limit, (row) => [row.latestFindingAtText, String(row.caseId)], caseOf);
  return pageAnswer(page, (item) => item);
}

const caseRow = async (sql: Sql, gameId: string, caseId: number): Promise<CaseRow | null> => {
  const [row] = await sql.query<CaseRow>(`${CASE} WHERE c.game_id = $1 AND c.case_id = $2`, [gameId, caseId]);
  return row ?? null;
};

export async function readCase(sql: Sql, gameId: string, caseId: number): Promise<Schemas['Case'] | null> {
  const row = await caseRow(sql, gameId, caseId);
  return row === null ? null : caseOf(row);
}

interface EventRow {
  readonly eventNo: number;
  readonly at: Date;
  readonly by: string;
  readonly kind: Schemas['CaseEvent']['kind'];
  readonly text: string | null;
  readonly assignee: string | null;
  readonly hid: boolean;
}

const EVENT = `event_no AS "eventNo", at, by_name AS by, kind, note AS text, assignee, hid`;
/** Of a case, its opening included. */
export const CASE_EVENTS_MAX = 500;
const CASE_FINDINGS_MAX = 200;

const eventOf = ({ at, ...row }: EventRow): Schemas['CaseEvent'] => ({ ...row, at: instantOf(at.getTime()) });

/** A case with its latest findings and all that was said and done. */
export async function readCaseDetail(
  sql: Sql,
  gameId: string,
  caseId: number,
): Promise<Schemas['CaseDetail'] | null> {
  const row = await caseRow(sql, gameId, caseId);
  if (row === null) return null;
  const events = await sql.query<EventRow>(
    `SELECT ${EVENT} FROM case_events WHERE game_id = $1 AND case_id = $2 ORDER BY event_no LIMIT $3`,
    [gameId, caseId, CASE_EVENTS_MAX],
  );
  const opening: EventRow = {
    eventNo: 1,
    at: row.openedAt,
    by: 'fairness',
    kind: 'opened',
    text: null,
    assignee: null,
    hid: false,
  };
  return {
    case: caseOf(row),
    findings: await findingsOfCase(sql, gameId, row, CASE_FINDINGS_MAX),
    events: [opening, ...events].map(eventOf),
  };
}

/** A case that a change has to itself. */
export interface LockedCase {
  readonly caseId: number;
  readonly playerId: string;
  readonly metric: string;
  readonly state: CaseState;
  readonly hid: boolean;
  readonly askedRevision: number | null;
  readonly hidingRevision: number | null;
}

/** null when the game has no such case. */
export async function lockCase(sql: Sql, gameId: string, caseId: number): Promise<LockedCase | null> {
  const [row] = await sql.query<LockedCase>(
    `SELECT case_id AS "caseId", player_id AS "playerId", metric, state, hid, asked_revision AS "askedRevision",
            hiding_revision AS "hidingRevision"
       FROM cases WHERE game_id = $1 AND case_id = $2 FOR UPDATE`,
    [gameId, caseId],
  );
  return row ?? null;
}

export interface NewCaseEvent {
  readonly by: string;
  readonly kind: Exclude<Schemas['CaseEvent']['kind'], 'opened'>;
  readonly text?: string;
  /** The user name. */
  readonly assignee?: string | null;
  readonly hid?: boolean;
}

/** Of a locked case. null when it has as many events as it can have. */
export async function addCaseEvent(
  sql: Sql,
  gameId: string,
  caseId: number,
  { by, kind, text, assignee, hid = false }: NewCaseEvent,
): Promise<Schemas['CaseEvent'] | null> {
  const [row] = await sql.query<EventRow>(
    `INSERT INTO case_events (game_id, case_id, event_no, by_name, kind, note, assignee, hid)
     SELECT $1, $2::bigint, n.next, $3, $4, $5, $6, $7
       FROM (SELECT coalesce(max(event_no), 1) + 1 AS next FROM case_events WHERE game_id = $1 AND case_id = $2) AS n
      WHERE n.next <= $8
     RETURNING ${EVENT}`,
    [gameId, caseId, by, kind, text ?? null, assignee ?? null, hid, CASE_EVENTS_MAX],
  );
  return row === undefined ? null : eventOf(row);
}

/** The name of a user who may judge cases of a game; null when there is none of this id. */
export async function judgeName(sql: Sql, gameId: string, userId: string): Promise<string | null> {
  const [row] = await sql.query<{ username: string }>(
    `SELECT u.username FROM admin_users u
      WHERE u.user_id = $2 AND u.disabled_at IS NULL
        AND (u.all_games OR EXISTS (SELECT 1 FROM admin_memberships m
              WHERE m.game_id = $1 AND m.user_id = $2 AND m.role IN ('analyst', 'operator', 'admin')))`,
    [gameId, userId],
  );
  return row?.username ?? null;
}

export async function setAssignee(
  sql: Sql,
  gameId: string,
  caseId: number,
  userId: string | null,
): Promise<void> {
  await sql.query('UPDATE cases SET assignee = $3 WHERE game_id = $1 AND case_id = $2', [
    gameId,
    caseId,
    userId,
  ]);
}

export interface StoredVerdict {
  readonly verdict: 'cheat' | 'clean';
  readonly by: string;
  readonly reason: string;
  readonly hid: boolean;
  /** Of the player's state when the verdict asked for hiding; null: it does not. */
  readonly askedRevision: number | null;
  /** The same where this verdict is what hid the player; else null. */
  readonly hidingRevision: number | null;
}

export async function storeVerdict(
  sql: Sql,
  gameId: string,
  caseId: number,
  { verdict, by, reason, hid, askedRevision, hidingRevision }: StoredVerdict,
): Promise<void> {
  await sql.query(
    `UPDATE cases SET state = $3, decided_at = now(), decided_by = $4, decision_reason = $5, hid = $6, asked_revision = $7,
            hiding_revision = $8
      WHERE game_id = $1 AND case_id = $2`,
    [gameId, caseId, verdict, by, reason, hid, askedRevision, hidingRevision],
  );
}

/** A case without its verdict: open, or `reversed` beside a later one that is open. */
export async function clearVerdict(
  sql: Sql,
  gameId: string,
  { caseId, playerId, metric }: LockedCase,
): Promise<void> {
  await sql.query(
    `UPDATE cases SET decided_at = NULL, decided_by = NULL, decision_reason = NULL, hid = false, asked_revision = NULL,
            hiding_revision = NULL, state = CASE WHEN EXISTS (SELECT 1 FROM cases o WHERE o.game_id = $1 AND o.player_id = $3 AND o.metric = $4 AND o.state = 'open')
                         THEN 'reversed' ELSE 'open' END
      WHERE game_id = $1 AND case_id = $2`,
    [gameId, caseId, playerId, metric],
  );
}

/** The revision of a player's state, and whether they are hidden. Locks it: hiding and restoring wait. */
export async function lockPlayerState(
  sql: Sql,
  gameId: string,
  playerId: string,
): Promise<{ readonly hidden: boolean; readonly revision: number } | null> {
  const [row] = await sql.query<{ hidden: boolean; revision: number }>(
    'SELECT hidden, revision FROM player_state WHERE game_id = $1 AND player_id = $2 FOR UPDATE',
    [gameId, playerId],
  );
  return row ?? null;
}

/**
 * Another verdict that asks for the player to be hidden takes over what this one began. None asks for it that was given
 * before the player was last put back on the boards. False when there is none.
 */
export async function handOverHiding(
  sql: Sql,
  gameId: string,
  { caseId, playerId, askedRevision, hidingRevision }: LockedCase,
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE cases SET hiding_revision = CASE
              WHEN $4::bigint > (SELECT p.restored_revision FROM player_state p WHERE p.game_id = $1 AND p.player_id = $2)
              THEN coalesce($5, hiding_revision) ELSE hiding_revision END
      WHERE case_id = (SELECT c.case_id FROM cases c
                         JOIN player_state p ON p.game_id = c.game_id AND p.player_id = c.player_id
                        WHERE c.game_id = $1 AND c.player_id = $2 AND c.case_id <> $3 AND c.state = 'cheat' AND c.hid
                          AND c.asked_revision > p.restored_revision
                        ORDER BY c.case_id LIMIT 1 FOR UPDATE OF c)
     RETURNING 1`,
    [gameId, playerId, caseId, askedRevision, hidingRevision],
  );
  return rows.length > 0;
}

/**
 * What a verdict hid is hidden by whoever asks for it by hand from now on: the verdict can be taken back, the hiding stays.
 * Of a player whom no verdict hides it changes nothing. Answers whether it changed something.
 */
export async function takeOverHiding(
  sql: Sql,
  { gameId, playerId, by, reason }: Omit<HideRequest, 'hidden'>,
): Promise<boolean> {
  // Another revision than the verdict's. The case stays as it is: whoever decides about it locks it before the player.
  const rows = await sql.query(
    `UPDATE player_state p SET revision = p.revision + 1, changed_at = now(), changed_by = $3, reason = $4
      WHERE p.game_id = $1 AND p.player_id = $2 AND p.hidden
        AND EXISTS (SELECT 1 FROM cases c WHERE c.game_id = $1 AND c.player_id = $2 AND c.hiding_revision = p.revision)
     RETURNING 1`,
    [gameId, playerId, by, reason],
  );
  return rows.length > 0;
}
