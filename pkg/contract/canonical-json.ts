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
  for (const key of sortedKeys(value)) {
    text += `${text === '' ? '' : ','}${quoted(key)}:${canonicalJson(value[key] as JsonValue)}`;
  }
  return `{${text}}`;
}

/** Up to here, sorting by insertion is faster than Array.sort. */
const FEW = 12;

/** Both ways compare UTF-16 code units. */
function sortedKeys(value: object): string[] {
  const keys = Object.keys(value);
  if (keys.length > FEW) return keys.sort();
  for (let i = 1; i < keys.length; i += 1) {
    const key = keys[i] as string;
    let place = i;
    for (; place > 0 && (keys[place - 1] as string) > key; place -= 1)
      keys[place] = keys[place - 1] as string;
    keys[place] = key;
  }
  return keys;
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
