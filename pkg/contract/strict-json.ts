import { isAscii, isUtf8 } from 'node:buffer';
import { duplicateKeyPointer, pointerSegment } from './json-text.js';

/**
 * JSON (RFC 8259) read strictly: what JSON.parse hides or bends is refused. Three linear steps: a scan of the bytes counts
 * depth and keys, JSON.parse builds the value, a walk over the value judges it. A duplicate key is what the scan counted
 * and the walk did not find. Depth is known before JSON.parse runs, which slows down badly on deep nesting.
 */

export interface JsonLimits {
  /** Arrays and objects inside one another; a scalar has depth 0. */
  readonly maxDepth: number;
  /** Keys in all objects of one document together. */
  readonly maxKeys: number;
  /** UTF-8 bytes of one string. */
  readonly maxStringBytes: number;
  /** UTF-8 bytes of one key. */
  readonly maxKeyBytes: number;
}

export const DEFAULT_JSON_LIMITS: JsonLimits = {
  maxDepth: 16,
  maxKeys: 512,
  maxStringBytes: 8_192,
  maxKeyBytes: 128,
};

export type JsonFaultCode =
  | 'empty_body'
  | 'invalid_utf8'
  | 'malformed_json'
  | 'too_deep'
  | 'too_many_keys'
  | 'duplicate_key'
  | 'forbidden_key'
  | 'invalid_number'
  | 'invalid_character'
  | 'string_too_long';

export interface JsonFault {
  readonly ok: false;
  readonly code: JsonFaultCode;
  /** JSON Pointer (RFC 6901) to the place, where there is one. Keys in it are the sender's text. */
  readonly pointer?: string;
}

export type JsonRead = { readonly ok: true; readonly value: unknown } | JsonFault;

/**
 * Reads one JSON document.
 *
 * - `empty_body`: no bytes but white space. `invalid_utf8`: also for a byte order mark.
 * - `invalid_number`: not finite, an integer beyond 2^53 - 1 either way (whatever its spelling), or minus zero, which
 *   JSON.stringify would write as 0.
 * - `invalid_character`: U+0000, U+FFFE, U+FFFF or half a surrogate pair, as they are or escaped, in a string or a key.
 * - `forbidden_key`: `__proto__`, `constructor` or `prototype`, anywhere, however spelled.
 */
export function parseStrictJson(bytes: Buffer, limits: JsonLimits = DEFAULT_JSON_LIMITS): JsonRead {
  return parseStrictSlice(bytes, 0, bytes.length, limits);
}

/** parseStrictJson of `bytes[start, end)`, without a copy. */
export function parseStrictSlice(bytes: Buffer, start: number, end: number, limits: JsonLimits): JsonRead {
  if (isBlank(bytes, start, end)) return { ok: false, code: 'empty_body' };
  const text = decodeStrict(bytes, start, end);
  if (text === null) return { ok: false, code: 'invalid_utf8' };
  const shape = shapeOf(bytes, start, end);
  if (shape.depth > limits.maxDepth) return { ok: false, code: 'too_deep' };
  if (shape.keys > limits.maxKeys) return { ok: false, code: 'too_many_keys' };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, code: 'malformed_json' };
  }
  const walk = new StrictWalk(limits, mayHoldInvalidCharacters(text));
  if (!walk.accepts(value, 0)) return walk.fault();
  if (walk.keys === shape.keys) return { ok: true, value };
  return { ok: false, code: 'duplicate_key', pointer: duplicateKeyPointer(text) };
}

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Whether nothing but JSON white space stands in `bytes[start, end)`. */
export function isBlank(bytes: Buffer, start: number, end: number): boolean {
  return firstByte(bytes, start, end) === end;
}

/** The position of the first byte that is not JSON white space, or `end`. */
export function firstByte(bytes: Buffer, start: number, end: number): number {
  let i = start;
  while (i < end && isSpace(bytes[i])) i += 1;
  return i;
}

/** The text of UTF-8 bytes; null when they are not UTF-8, or begin with a byte order mark. */
export function decodeStrict(bytes: Buffer, start: number, end: number): string | null {
  const slice = start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end);
  if (isAscii(slice)) return slice.toString('latin1');
  if (!isUtf8(slice) || (slice[0] === 0xef && slice[1] === 0xbb && slice[2] === 0xbf)) return null;
  return slice.toString('utf8');
}

export interface JsonShape {
  readonly depth: number;
  /** Colons outside strings: the keys of a well-formed document. */
  readonly keys: number;
}

/** Counts in one pass over the bytes; says nothing about grammar. All of JSON's own signs are ASCII, so UTF-8 may stay as it is. */
export function shapeOf(bytes: Buffer, start: number, end: number): JsonShape {
  let depth = 0;
  let deepest = 0;
  let keys = 0;
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i];
    if (byte === 0x22) {
      for (i += 1; i < end; i += 1) {
        const inside = bytes[i];
        if (inside === 0x22) break;
        if (inside === 0x5c) i += 1;
      }
    } else if (byte === 0x3a) {
      keys += 1;
    } else if (byte === 0x7b || byte === 0x5b) {
      depth += 1;
      if (depth > deepest) deepest = depth;
    } else if (byte === 0x7d || byte === 0x5d) {
      depth -= 1;
    }
  }
  return { depth: deepest, keys };
}

/** With the `u` flag a surrogate here is half a pair. */
const INVALID_CHARACTER = /[\u0000\ufffe\uffff\ud800-\udfff]/u;

/**
 * Whether strings must be looked at one by one. U+0000 and halves of surrogate pairs can only come from `\u` escapes: JSON
 * forbids the first as it is, UTF-8 the second.
 */
export const mayHoldInvalidCharacters = (text: string): boolean =>
  text.includes('\\u') || text.includes('\ufffe') || text.includes('\uffff');

/** Judges parsed values. After `accepts` has said no, `fault` says why and where. */
export class StrictWalk {
  /** Keys seen so far. */
  keys = 0;
  private code: JsonFaultCode = 'malformed_json';
  private pointer = '';

  constructor(
    private readonly limits: JsonLimits,
    private readonly checkCharacters: boolean,
  ) {}

  fault(): JsonFault {
    return { ok: false, code: this.code, pointer: this.pointer };
  }

  /** Recursion ends at maxDepth, whatever the value. The pointer is put together only on the way back from a fault. */
  accepts(value: unknown, depth: number): boolean {
    if (typeof value === 'string') return this.acceptsString(value, this.limits.maxStringBytes);
    if (typeof value === 'number') return this.acceptsNumber(value);
    if (typeof value !== 'object' || value === null) return true;
    if (depth >= this.limits.maxDepth) return this.refuse('too_deep');
    if (Array.isArray(value)) return this.acceptsItems(value, depth + 1);
    return this.acceptsMembers(value as Record<string, unknown>, depth + 1);
  }

  private acceptsItems(items: readonly unknown[], depth: number): boolean {
    for (let i = 0; i < items.length; i += 1) {
      if (!this.accepts(items[i], depth)) return this.within(String(i));
    }
    return true;
  }

  private acceptsMembers(members: Record<string, unknown>, depth: number): boolean {
    // JSON.parse makes plain objects, so for-in lists own keys (`__proto__` too) and is several times faster than entries.
    for (const key in members) {
      this.keys += 1;
      if (this.keys > this.limits.maxKeys) return this.refuse('too_many_keys');
      if (key === '__proto__' || key === 'constructor' || key === 'prototype') {
        this.refuse('forbidden_key');
        return this.within(key);
      }
      if (!this.acceptsString(key, this.limits.maxKeyBytes)) return false;
      if (!this.accepts(members[key], depth)) return this.within(key);
    }
    return true;
  }

  private acceptsString(text: string, maxBytes: number): boolean {
    // No UTF-16 unit takes more than three bytes, so most strings need not be measured.
    if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes)
      return this.refuse('string_too_long');
    if (this.checkCharacters && INVALID_CHARACTER.test(text)) return this.refuse('invalid_character');
    return true;
  }

  private acceptsNumber(value: number): boolean {
    if ((value | 0) === value && value !== 0) return true;
    const wrong = !Number.isFinite(value) || Object.is(value, -0);
    if (wrong || (Number.isInteger(value) && !Number.isSafeInteger(value)))
      return this.refuse('invalid_number');
    return true;
  }

  private refuse(code: JsonFaultCode): false {
    this.code = code;
    return false;
  }

  private within(key: string): false {
    this.pointer = pointerSegment(key) + this.pointer;
    return false;
  }
}
