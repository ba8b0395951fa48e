import {
  decodeStrict,
  firstByte,
  isBlank,
  mayHoldInvalidCharacters,
  parseStrictJson,
  parseStrictSlice,
  shapeOf,
  StrictWalk,
  type JsonFault,
  type JsonFaultCode,
  type JsonLimits,
  type JsonRead,
} from '../contract/strict-json.js';

export interface BatchLimits extends JsonLimits {
  readonly maxItems: number;
}

/** Decided by the Content-Type alone. */
export type BatchForm = 'json' | 'ndjson';

export type BatchFaultCode = JsonFaultCode | 'not_a_batch' | 'too_many_events';

export interface BatchFault {
  readonly ok: false;
  readonly code: BatchFaultCode;
  readonly pointer?: string;
}

export interface SplitBatch {
  readonly ok: true;
  /** Each event judged on its own, in the order sent; pointers begin at the event. */
  readonly items: readonly JsonRead[];
  /** Where in the body those events stand that are no sound JSON, by index. */
  readonly faulty: ReadonlyMap<number, Slice>;
  /** Members beside `events` when the batch came in an envelope, else null. Their shape is not judged here. */
  readonly envelope: Readonly<Record<string, unknown>> | null;
}

/**
 * Splits the body of a batch: a JSON array, an envelope `{events: [...], ...}`, or NDJSON (one document a line, blank lines
 * skipped). A fault inside an event refuses that event alone; depth, keys and strings are limited per event.
 *
 * The whole body is refused when it is not JSON, when its envelope has a fault, or when it holds too many events. NDJSON
 * is refused whole when no line of it is JSON, or when it begins with `[`: that is an array under the wrong type.
 */
export function splitBatch(bytes: Buffer, form: BatchForm, limits: BatchLimits): SplitBatch | BatchFault {
  const first = firstByte(bytes, 0, bytes.length);
  if (first === bytes.length) return { ok: false, code: 'empty_body' };
  if (form === 'ndjson') return splitLines(bytes, first, limits);
  return splitWhole(bytes, limits) ?? splitBySlices(bytes, first, limits);
}

const LF = 0x0a;
const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const OPEN_OBJECT = 0x7b;
const isOpening = (byte: number | undefined): boolean => byte === OPEN_ARRAY || byte === OPEN_OBJECT;
const isClosing = (byte: number | undefined): boolean => byte === 0x5d || byte === 0x7d;

function splitLines(bytes: Buffer, first: number, limits: BatchLimits): SplitBatch | BatchFault {
  if (bytes[first] === OPEN_ARRAY) return { ok: false, code: 'malformed_json' }; // a JSON array under the wrong type
  if (startsWithMark(bytes)) return { ok: false, code: 'invalid_utf8' };
  const items: JsonRead[] = [];
  const faulty = new Map<number, Slice>();
  for (let start = 0; start < bytes.length;) {
    const lf = bytes.indexOf(LF, start);
    const end = lf === -1 ? bytes.length : lf;
    if (!isBlank(bytes, start, end)) {
      if (items.length === limits.maxItems) return { ok: false, code: 'too_many_events' };
      const item = parseStrictSlice(bytes, start, end, limits);
      if (!item.ok) faulty.set(items.length, { start, end });
      items.push(item);
    }
    start = end + 1;
  }
  return items.every(isNotJson)
    ? { ok: false, code: notJsonCode(items) }
    : { ok: true, items, faulty, envelope: null };
}

const startsWithMark = (bytes: Buffer): boolean =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;

const isNotJson = (item: JsonRead): item is JsonFault =>
  !item.ok && (item.code === 'malformed_json' || item.code === 'invalid_utf8');

const notJsonCode = (items: readonly JsonRead[]): JsonFaultCode =>
  items.some((item) => !item.ok && item.code === 'invalid_utf8') ? 'invalid_utf8' : 'malformed_json';

export const NO_FAULT: ReadonlyMap<number, Slice> = new Map();

/** How much deeper the events of an envelope stand than an event by itself. */
const ENVELOPE_DEPTH = 2;

/**
 * The fast way: the whole body parsed at once and each event walked. Answers only when there is nothing to complain of in
 * any event (or the body is not JSON at all); otherwise null, and the slices tell which event has the fault.
 */
function splitWhole(bytes: Buffer, limits: BatchLimits): SplitBatch | BatchFault | null {
  const text = decodeStrict(bytes, 0, bytes.length);
  if (text === null) return startsWithMark(bytes) ? { ok: false, code: 'invalid_utf8' } : null;
  const shape = shapeOf(bytes, 0, bytes.length);
  if (shape.depth > limits.maxDepth + ENVELOPE_DEPTH) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, code: 'malformed_json' };
  }
  const parts = partsOf(value);
  if (parts === null) return null;
  if (parts.events.length > limits.maxItems) return { ok: false, code: 'too_many_events' };
  const checkCharacters = mayHoldInvalidCharacters(text);
  let keys = 0;
  const isSound = (part: unknown): boolean => {
    const walk = new StrictWalk(limits, checkCharacters);
    const sound = walk.accepts(part, 0);
    keys += walk.keys;
    return sound;
  };
  if (parts.envelope !== null) {
    if (!isSound(parts.envelope)) return null;
    keys += 1; // `events` itself
  }
  if (!parts.events.every(isSound) || keys !== shape.keys) return null;
  return {
    ok: true,
    items: parts.events.map((event) => ({ ok: true, value: event })),
    faulty: NO_FAULT,
    envelope: parts.envelope,
  };
}

function partsOf(
  value: unknown,
): { events: readonly unknown[]; envelope: Record<string, unknown> | null } | null {
  if (Array.isArray(value)) return { events: value, envelope: null };
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'events')) return null;
  const { events, ...envelope } = value as Record<string, unknown>;
  return Array.isArray(events) ? { events, envelope } : null;
}

/** The exact way: cuts the text between events and reads each by itself. Linear too. */
function splitBySlices(bytes: Buffer, first: number, limits: BatchLimits): SplitBatch | BatchFault {
  if (bytes[first] === OPEN_ARRAY) {
    const cut = cutArray(bytes, first, limits.maxItems);
    if (!('slices' in cut)) return cut;
    if (!isBlank(bytes, cut.end, bytes.length)) return { ok: false, code: 'malformed_json' };
    return readSlices(bytes, cut.slices, limits, null);
  }
  const opening = bytes[first] === OPEN_OBJECT ? eventsStart(bytes, first) : null;
  if (opening === null) return judgeNoBatch(bytes, limits);
  const cut = cutArray(bytes, opening, limits.maxItems);
  if (!('slices' in cut)) return cut;
  // What is left without the events is a small document: their array is cut down to `[]`.
  const rest = Buffer.concat([bytes.subarray(0, opening + 1), bytes.subarray(cut.end - 1)]);
  const read = parseStrictJson(rest, { ...limits, maxKeys: limits.maxKeys + 1 });
  if (!read.ok) return read;
  const { events, ...envelope } = read.value as Record<string, unknown>;
  if (!Array.isArray(events)) return { ok: false, code: 'not_a_batch', pointer: '/events' };
  return readSlices(bytes, cut.slices, limits, envelope);
}

/** The body is neither an array nor an object with an array `events`: say the first thing that is wrong with it. */
function judgeNoBatch(bytes: Buffer, limits: BatchLimits): BatchFault {
  const read = parseStrictJson(bytes, limits);
  return read.ok ? { ok: false, code: 'not_a_batch' } : read;
}

function readSlices(
  bytes: Buffer,
  slices: readonly Slice[],
  limits: BatchLimits,
  envelope: Record<string, unknown> | null,
): SplitBatch | BatchFault {
  const items = slices.map(({ start, end }) => parseStrictSlice(bytes, start, end, limits));
  // The array is one document: an event that is no JSON, or none between two commas, makes all of it no JSON.
  const broken = items.some(
    (item) => !item.ok && (item.code === 'malformed_json' || item.code === 'empty_body'),
  );
  if (broken) return { ok: false, code: 'malformed_json' };
  if (items.length > 0 && items.every(isNotJson)) return { ok: false, code: notJsonCode(items) };
  const faulty = new Map([...slices.entries()].filter(([index]) => items[index]?.ok === false));
  return { ok: true, items, faulty, envelope };
}

/** `[start, end)` of a body. */
export interface Slice {
  readonly start: number;
  readonly end: number;
}

/** Cuts the array that opens at `opening` at its own commas. `end` is the position after its closing bracket. */
function cutArray(
  bytes: Buffer,
  opening: number,
  maxItems: number,
): { readonly slices: readonly Slice[]; readonly end: number } | BatchFault {
  const slices: Slice[] = [];
  let start = opening + 1;
  let depth = 0;
  for (let i = opening; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (byte === QUOTE) i = stringEnd(bytes, i) - 1;
    else if (isOpening(byte)) depth += 1;
    else if (isClosing(byte)) {
      depth -= 1;
      if (depth > 0) continue;
      if (byte !== 0x5d) break;
      if (slices.length > 0 || !isBlank(bytes, start, i)) slices.push({ start, end: i });
      return slices.length > maxItems ? { ok: false, code: 'too_many_events' } : { slices, end: i + 1 };
    } else if (byte === COMMA && depth === 1) {
      slices.push({ start, end: i });
      if (slices.length > maxItems) return { ok: false, code: 'too_many_events' };
      start = i + 1;
    }
  }
  return { ok: false, code: 'malformed_json' };
}

/** Where the array of the first member `events` opens; null when the object has no such member. */
function eventsStart(bytes: Buffer, opening: number): number | null {
  let depth = 0;
  for (let i = opening; i < bytes.length; i += 1) {
    const byte = bytes[i];
    if (isOpening(byte)) depth += 1;
    else if (isClosing(byte)) depth -= 1;
    else if (byte === QUOTE) {
      const end = stringEnd(bytes, i);
      const colon = firstByte(bytes, end, bytes.length);
      if (depth === 1 && bytes[colon] === 0x3a && isEventsKey(bytes, i, end)) {
        const value = firstByte(bytes, colon + 1, bytes.length);
        return bytes[value] === OPEN_ARRAY ? value : null;
      }
      i = end - 1;
    }
  }
  return null;
}

/** A key may be spelled with escapes; one longer than `events` in nothing but escapes is not it. */
function isEventsKey(bytes: Buffer, start: number, end: number): boolean {
  if (end - start > '"'.length * 2 + 'events'.length * '\\u0065'.length) return false;
  try {
    return JSON.parse(bytes.toString('utf8', start, end)) === 'events';
  } catch {
    return false;
  }
}

function stringEnd(bytes: Buffer, start: number): number {
  let i = start + 1;
  while (i < bytes.length && bytes[i] !== QUOTE) i += bytes[i] === BACKSLASH ? 2 : 1;
  return Math.min(i + 1, bytes.length);
}
