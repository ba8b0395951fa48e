import { hash } from 'node:crypto';
import { canonicalJson, quoted } from './canonical-json.js';
import type { JsonObject } from './event.js';
import { LAST_TS_MS } from './timestamp.js';

const DAY_MS = 86_400_000;

const EVENT_ID = /^[A-Za-z0-9_.:-]{1,64}$/;
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;
/** As the ULID specification writes them: 26 upper-case Crockford digits, the first at most 7. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const ALL_DIGITS = /^\d+$/;
const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Whether a text may be the `id` of an event. */
export const isEventId = (id: string): boolean => EVENT_ID.test(id);

/** The texts of days seen lately: neighbours share their day, and a window has a day at each end. */
const dayTexts = new Map<number, string>();
const DAY_TEXTS_MAX = 256;

/** The UTC day of an instant in 0..LAST_TS_MS, `YYYY-MM-DD`. */
export function utcDayOf(tsMs: number): string {
  const day = Math.floor(tsMs / DAY_MS);
  const known = dayTexts.get(day);
  if (known !== undefined) return known;
  if (dayTexts.size >= DAY_TEXTS_MAX) dayTexts.clear();
  const text = new Date(day * DAY_MS).toISOString().slice(0, 10);
  dayTexts.set(day, text);
  return text;
}

/**
 * The day under which an event is deduplicated: the UTC day inside a UUIDv7 (RFC 9562, either case) or a ULID, else the
 * UTC day of `tsMs`. A time beyond the year 9999 is no day we can write, and 26 decimal digits are a number rather than
 * a ULID: both count as ids without a day. The day inside an id is the sender's claim: whoever admits events must hold it
 * to a floor and a ceiling.
 */
export function dedupeDayOf(id: string, tsMs: number): string {
  return utcDayOf(timeInside(id) ?? tsMs);
}

function timeInside(id: string): number | null {
  let timeMs: number;
  if (id.length === 36 && UUID_V7.test(id)) timeMs = parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
  else if (id.length === 26 && ULID.test(id) && !ALL_DIGITS.test(id)) timeMs = ulidTime(id);
  else return null;
  return timeMs <= LAST_TS_MS ? timeMs : null;
}

/** The first ten digits of a ULID are 48 bits of milliseconds. */
function ulidTime(ulid: string): number {
  let timeMs = 0;
  for (let i = 0; i < 10; i += 1) timeMs = timeMs * 32 + CROCKFORD.indexOf(ulid.charAt(i));
  return timeMs;
}

/** A field behind its length in UTF-8 bytes, so that no two lists of fields give the same text. */
const prefixed = (field: string): string => `${String(Buffer.byteLength(field))}:${field}`;

/**
 * Names an event for good: the first 16 bytes of SHA-256 over the four fields, each written `<UTF-8 bytes>:<field>`,
 * as 32 lowercase hex digits.
 */
export function identityOf(gameId: string, playerId: string, dedupeDay: string, id: string): string {
  const fields = prefixed(gameId) + prefixed(playerId) + prefixed(dedupeDay) + prefixed(id);
  return hash('sha256', fields, 'hex').slice(0, 32);
}

export interface EventContent {
  readonly type: string;
  readonly playerId: string;
  readonly tsMs: number;
  readonly payload: JsonObject;
}

/**
 * SHA-256 of the RFC 8785 form of `{payload, playerId, ts, type}`, 64 lowercase hex digits. `ts` is the whole
 * milliseconds it became at admission, not the text that was sent: a retry that writes the same instant in another way is
 * the same event. `payloadText` is canonicalJson of the payload, for whoever has it already.
 */
export function contentHashOf(content: EventContent, payloadText = canonicalJson(content.payload)): string {
  const { type, playerId, tsMs } = content;
  const form =
    `{"payload":${payloadText},"playerId":${quoted(playerId)},` +
    `"ts":${String(tsMs)},"type":${quoted(type)}}`;
  return hash('sha256', form, 'hex');
}

/** The id of a single event that came with neither an id nor a signed Idempotency-Key: `c_` + base64url of its content hash. */
export const implicitId = (contentHash: string): string =>
  `c_${Buffer.from(contentHash, 'hex').toString('base64url')}`;

/**
 * The broker's deduplication id: hex SHA-256 of `<identity>:<content hash>:<redrive>`. Brokers drop repeats silently, so
 * a redrive (1, 2, ...; 0 is the first publish) must look new, and so must another content under the same identity.
 */
export const messageIdOf = (identity: string, contentHash: string, redrive: number): string =>
  hash('sha256', `${identity}:${contentHash}:${String(redrive)}`, 'hex');
