import { FairtallyError } from '../kernel/errors.js';
import type { Place } from '../leaderboard/port.js';

const CURSOR_MAX_LENGTH = 2_048;
const BASE64URL = /^[A-Za-z0-9_-]+$/;
const UNFIT = /[\p{Surrogate}\u0000]/u;

/** The place after which a page goes on, as opaque text. It names a place, not a row: it holds while scores move. */
export const encodePlace = (place: Place): string =>
  Buffer.from(JSON.stringify([place.score, place.reachedAtMs, place.subject])).toString('base64url');

/** @throws FairtallyError `invalid_cursor` */
export function decodePlace(cursor: string): Place {
  if (cursor.length <= CURSOR_MAX_LENGTH && BASE64URL.test(cursor)) {
    const place = placeOf(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (place !== null && encodePlace(place) === cursor) return place;
  }
  throw new FairtallyError('invalid_cursor', 'the cursor is not one that this API gave');
}

function placeOf(text: string): Place | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // answered as invalid_cursor
  }
  if (!Array.isArray(value) || value.length !== 3) return null;
  const [score, reachedAtMs, subject] = value as unknown[];
  if (typeof score !== 'number' || !Number.isSafeInteger(score)) return null;
  if (typeof reachedAtMs !== 'number' || !Number.isSafeInteger(reachedAtMs) || reachedAtMs < 0) return null;
  if (typeof subject !== 'string' || subject === '' || UNFIT.test(subject)) return null;
  return { score, reachedAtMs, subject };
}
