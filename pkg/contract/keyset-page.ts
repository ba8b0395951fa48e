import { FairtallyError } from '../kernel/errors.js';

/** Lists that go on after the key of the last row shown, so that they hold while rows come. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

export interface PageRequest {
  /** 1..1000 */
  readonly limit: number;
  /** nextCursor of the page before; null for the first. */
  readonly cursor: string | null;
}

const LIMIT_MAX = 1_000;
const CURSOR_MAX_CHARACTERS = 2_048;

/** @throws FairtallyError `bad_limit` */
export function checkLimit({ limit }: Pick<PageRequest, 'limit'>): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return;
  throw new FairtallyError('bad_limit', `limit is a whole number from 1 to ${String(LIMIT_MAX)}`);
}

/** The key of the last row shown: a time or text to order by, and a text that tells apart what is equal in it. */
export type CursorKey = readonly [string, string];

/** Whether a part of a cursor is what the list would have written: a cursor comes from outside. */
export type CursorPart = (text: string) => boolean;

const INSTANT = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.\d{1,6})?[+-](?:0\d|1[0-4])(?::[0-5]\d)?$/;

/** A timestamptz as PostgreSQL writes it, of a day and an hour that exist. It keeps the microseconds that a Date loses. */
export const isInstantText: CursorPart = (text) => {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (INSTANT.exec(text) ?? [])
    .slice(1)
    .map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  const isDay = year >= 1000 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  return isDay && hour <= 23 && minute <= 59 && second <= 59;
};

/**
 * The key inside a cursor, when both of its parts are right.
 *
 * @throws FairtallyError `bad_cursor`
 */
export function readCursor(
  cursor: string | null,
  shape: readonly [CursorPart, CursorPart],
): CursorKey | null {
  if (cursor === null) return null;
  const [first, second, ...rest] = readTexts(cursor);
  if (first === undefined || second === undefined || rest.length > 0) throw badCursor();
  if (!shape[0](first) || !shape[1](second)) throw badCursor();
  return [first, second];
}

function readTexts(cursor: string): readonly string[] {
  if (cursor.length > CURSOR_MAX_CHARACTERS) throw badCursor();
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString());
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
  } catch {
    throw badCursor();
  }
  throw badCursor();
}

const badCursor = (): FairtallyError =>
  new FairtallyError('bad_cursor', 'the cursor was not made by this list');

/** A page out of `limit + 1` rows: the row too many only tells that there is more. */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => CursorKey,
  itemOf: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  const nextCursor =
    last === undefined ? null : Buffer.from(JSON.stringify(keyOf(last))).toString('base64url');
  return { items: shown.map(itemOf), nextCursor };
}
