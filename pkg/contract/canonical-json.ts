import canonicalize from 'canonicalize';
import type { JsonValue } from './event.js';

/**
 * The RFC 8785 form of a JSON value. A value whose keys already stand in order (most do: SDKs write small flat payloads)
 * is written by JSON.stringify alone, which formats numbers and strings exactly as RFC 8785 asks.
 */
export function canonicalJson(value: JsonValue): string {
  if (isInOrder(value)) return JSON.stringify(value);
  return canonicalize(value) as string;
}

/** Whether every object inside has its keys in ascending order of UTF-16 code units. */
function isInOrder(value: JsonValue): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isInOrder);
  let previous: string | null = null;
  for (const key of Object.keys(value)) {
    if (previous !== null && key < previous) return false;
    if (!isInOrder((value as { [key: string]: JsonValue })[key] as JsonValue)) return false;
    previous = key;
  }
  return true;
}
