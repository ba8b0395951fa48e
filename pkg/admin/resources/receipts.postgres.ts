import { pageOf, readCursor, type CursorPart, type PageRequest } from '../../contract/keyset-page.js';
import type { Sql } from '../../postgres/port.js';
import { instantOf, instantOrNull, pageAnswer, type Schemas } from './answers.js';

interface ReceiptRow {
  readonly receiptId: string;
  readonly playerId: string;
  readonly jws: string;
  readonly reward: string;
  readonly amount: number;
  readonly cause: string;
  readonly src: 'server' | 'client';
  readonly eventId: string;
  readonly kid: string;
  readonly tsMs: number;
  readonly grantKey: string;
  readonly revokedAt: Date | null;
  /** Whole microseconds: a Date has only milliseconds. */
  readonly revokedAtUs: number | null;
  readonly revokedBy: string | null;
  readonly revokedReason: string | null;
}

const COLUMNS = `receipt_id AS "receiptId", player_id AS "playerId", jws, reward, amount, cause, src, event_id AS "eventId", kid,
  ts_ms AS "tsMs", grant_key AS "grantKey", revoked_at AS "revokedAt",
  (extract(epoch FROM revoked_at) * 1000000)::bigint AS "revokedAtUs", revoked_by AS "revokedBy",
  revoked_reason AS "revokedReason"`;

const receiptOf = ({ tsMs, revokedAt, ...row }: ReceiptRow): Schemas['Receipt'] => ({
  receiptId: row.receiptId,
  playerId: row.playerId,
  jws: row.jws,
  reward: row.reward,
  amount: row.amount,
  cause: row.cause,
  src: row.src,
  eventId: row.eventId,
  kid: row.kid,
  issuedAt: instantOf(tsMs),
  revokedAt: instantOrNull(revokedAt?.getTime() ?? null),
  revokedBy: row.revokedBy,
  revokedReason: row.revokedReason,
});

const OF_PLAYER = `
  SELECT ${COLUMNS} FROM receipts
   WHERE game_id = $1 AND player_id = $2 AND ($3::bigint IS NULL OR (ts_ms, grant_key) > ($3, $4))
   ORDER BY ts_ms, grant_key LIMIT $5`;

const isTsMs: CursorPart = (text) => /^-?\d{1,15}$/.test(text);
const isReceiptId: CursorPart = (text) => /^[A-Za-z0-9_-]{22}$/.test(text);
const isGrantKey: CursorPart = (text) => /^[^\0\p{Surrogate}]{1,512}$/u.test(text);

/** A player's receipts, oldest cause first. */
export async function listPlayerReceipts(
  sql: Sql,
  gameId: string,
  playerId: string,
  { limit, cursor }: PageRequest,
): Promise<Schemas['ReceiptPage']> {
  const [tsMs, grantKey] = readCursor(cursor, [isTsMs, isGrantKey]) ?? [null, null];
  const rows = await sql.query<ReceiptRow>(OF_PLAYER, [gameId, playerId, tsMs, grantKey, limit + 1]);
  return pageAnswer(
    pageOf(rows, limit, (row) => [String(row.tsMs), row.grantKey], receiptOf),
    (item) => item,
  );
}

const NEWEST = `
  SELECT ${COLUMNS} FROM receipts
   WHERE game_id = $1 AND ($2::bigint IS NULL OR (ts_ms, receipt_id) < ($2, $3))
   ORDER BY ts_ms DESC, receipt_id DESC LIMIT $4`;

/** The receipts of a game, newest cause first. */
export async function listReceipts(
  sql: Sql,
  gameId: string,
  { limit, cursor }: PageRequest,
): Promise<Schemas['ReceiptPage']> {
  const [tsMs, receiptId] = readCursor(cursor, [isTsMs, isReceiptId]) ?? [null, null];
  const rows = await sql.query<ReceiptRow>(NEWEST, [gameId, tsMs, receiptId, limit + 1]);
  return pageAnswer(
    pageOf(rows, limit, (row) => [String(row.tsMs), row.receiptId], receiptOf),
    (item) => item,
  );
}

/** One receipt of a game; null when it has none of this id. */
export async function readReceipt(
  sql: Sql,
  gameId: string,
  receiptId: string,
): Promise<Schemas['Receipt'] | null> {
  const [row] = await sql.query<ReceiptRow>(
    `SELECT ${COLUMNS} FROM receipts WHERE game_id = $1 AND receipt_id = $2`,
    [gameId, receiptId],
  );
  return row === undefined ? null : receiptOf(row);
}

const REVOKED = `
  SELECT ${COLUMNS} FROM receipts
   WHERE game_id = $1 AND revoked_at IS NOT NULL
     AND ($2::bigint IS NULL
          OR (revoked_at, receipt_id) > (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3))
   ORDER BY revoked_at, receipt_id LIMIT $4`;

const isMicroseconds: CursorPart = (text) => /^\d{1,16}$/.test(text);

/** What was revoked, oldest first. */
export async function listRevoked(
  sql: Sql,
  gameId: string,
  { limit, cursor }: PageRequest,
): Promise<Schemas['ReceiptPage']> {
  const [atUs, receiptId] = readCursor(cursor, [isMicroseconds, isReceiptId]) ?? [null, null];
  const rows = await sql.query<ReceiptRow>(REVOKED, [gameId, atUs, receiptId, limit + 1]);
  return pageAnswer(
    pageOf(rows, limit, (row) => [String(row.revokedAtUs), row.receiptId], receiptOf),
    (item) => item,
  );
}

/** Declares a receipt void; false when it is, or when there is none. What stands never changes again. */
export async function revokeReceipt(
  sql: Sql,
  { gameId, receiptId, by, reason }: Revocation,
): Promise<boolean> {
  const rows = await sql.query(
    `UPDATE receipts SET revoked_at = now(), revoked_by = $3, revoked_reason = $4
      WHERE game_id = $1 AND receipt_id = $2 AND revoked_at IS NULL RETURNING 1`,
    [gameId, receiptId, by, reason],
  );
  return rows.length > 0;
}

export interface Revocation {
  readonly gameId: string;
  readonly receiptId: string;
  readonly by: string;
  readonly reason: string;
}
