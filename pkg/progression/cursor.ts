import { FairtallyError } from '../kernel/errors.js';
import type { Page, PageRequest } from './port.js';

const LIMIT_MAX = 1_000;
const CURSOR_MAX_CHARACTERS = 2_048;

/** @throws FairtallyError `bad_limit` */
export function checkLimit({ limit }: PageRequest): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= LIMIT_MAX) return;
  throw new FairtallyError('bad_limit', `limit is a whole number from 1 to ${String(LIMIT_MAX)}`);
}

/** The key of the last row shown: a time or text to order by, and a text that tells apart what is equal in it. */
export type CursorKey = readonly [string, string];

/**
 * The key inside a cursor, when both of its parts match.
 *
 * @throws FairtallyError `bad_cursor`
 */
export function readCursor(cursor: string | null, shape: readonly [RegExp, RegExp]): CursorKey | null {
  if (cursor === null) return null;
  const [first, second, ...rest] = readTexts(cursor);
  if (first === undefined || second === undefined || rest.length > 0) throw badCursor();
  if (!shape[0].test(first) || !shape[1].test(second)) throw badCursor();
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
