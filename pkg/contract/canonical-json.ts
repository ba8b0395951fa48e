import type { JsonValue } from './event.js';

/**
 * The RFC 8785 form of a JSON value: keys in ascending order of UTF-16 code units, no white space, strings and numbers as
 * ECMAScript writes them. Written here because it runs for every event and the package `canonicalize`, which the tests hold
 * it to, takes twice as long. Recursive: the value's depth must have been limited before.
 *
 * @throws TypeError for NaN and Infinity, which are no JSON
 */
export function canonicalJson(value: JsonValue): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number') return numberText(value);
  if (typeof value !== 'object' || value === null) return String(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  return objectText(value as { readonly [key: string]: JsonValue });
}

function objectText(value: { readonly [key: string]: JsonValue }): string {
  let text = '';
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${quoted(key)}:${canonicalJson(value[key] as JsonValue)}`;
  }
  return `{${text}}`;
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`${String(value)} is not a JSON number`);
  return String(value);
}

/** Up to here, looking at each character is faster than calling JSON.stringify. */
const SHORT = 64;

/** A string as JSON.stringify writes it. */
export function quoted(text: string): string {
  if (text.length > SHORT) return JSON.stringify(text);
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    // Printable ASCII but for the quote and the backslash stands for itself.
    if (code < 0x20 || code > 0x7e || code === 0x22 || code === 0x5c) return JSON.stringify(text);
  }
  return `"${text}"`;
}
