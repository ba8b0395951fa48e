import type { Entry, ListEntry, MapEntry } from './document.js';
import type { FaultList } from './faults.js';

/** Names of seasons, metrics and items: they become keys and labels. */
export const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
/** Names of boards and event types are part of the HTTP contract (api/openapi.yaml), whose patterns these are. */
export const BOARD_NAME = /^[a-z0-9][a-z0-9-]{0,63}$/;
export const EVENT_TYPE_NAME = /^[a-z][a-z0-9_.-]{0,63}$/;

const quoted = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(', ');

/**
 * Reads entries as what they should be. Each method answers null after it has noted a fault, so that reading goes on and
 * the author sees every fault at once; an absent optional entry is answered by its default.
 */
export class Reading {
  /**
   * @param isProven the document was applied once: what only refuses documents, and costs much, was found right then
   */
  constructor(
    readonly faults: FaultList,
    readonly isProven: boolean,
  ) {}

  map(entry: Entry, keys?: readonly string[]): MapEntry | null {
    if (entry.kind !== 'map') return this.refuse(entry, 'must be a mapping of `key: value` lines');
    if (keys !== undefined) {
      for (const key of entry.entries.keys()) {
        if (!keys.includes(key))
          this.faults.add(entry.keyPlace(key), `unknown key; known here: ${quoted(keys)}`);
      }
    }
    return entry;
  }

  /** A mapping from names to things; wrong names are noted. */
  named(
    entry: Entry | undefined,
    pattern: RegExp,
    maxEntries: number,
  ): readonly (readonly [string, Entry])[] {
    const map = entry === undefined ? null : this.map(entry);
    if (map === null) return [];
    if (map.entries.size > maxEntries)
      this.faults.add(map, `has more than ${String(maxEntries)} entries; remove some`);
    for (const name of map.entries.keys()) {
      if (!pattern.test(name))
        this.faults.add(map.keyPlace(name), `is not a name: it must match ${pattern.source}`);
    }
    return [...map.entries].slice(0, maxEntries);
  }

  list(entry: Entry, maxItems: number): ListEntry | null {
    if (entry.kind !== 'list') return this.refuse(entry, 'must be a list');
    if (entry.items.length > maxItems)
      return this.refuse(entry, `has more than ${String(maxItems)} items; remove some`);
    return entry;
  }

  /** A key that must stand; `example` tells what to add. */
  required(map: MapEntry, key: string, example: string): Entry | null {
    const entry = map.entries.get(key);
    if (entry !== undefined) return entry;
    return this.refuse(map, `lacks \`${key}\`; add \`${key}: ${example}\``);
  }

  text(entry: Entry | null, what: string, pattern: RegExp): string | null {
    if (entry === null) return null;
    if (entry.kind === 'scalar' && typeof entry.value === 'string' && pattern.test(entry.value))
      return entry.value;
    return this.refuse(entry, `must be ${what} (${pattern.source})`);
  }

  integer(entry: Entry | null, min: number, max: number): number | null {
    if (entry === null) return null;
    const value = entry.kind === 'scalar' ? entry.value : null;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    return this.refuse(entry, `must be a whole number from ${String(min)} to ${String(max)}`);
  }

  number(entry: Entry | null, min: number, max: number): number | null {
    if (entry === null) return null;
    const value = entry.kind === 'scalar' ? entry.value : null;
    if (typeof value === 'number' && value >= min && value <= max) return value;
    return this.refuse(entry, `must be a number from ${String(min)} to ${String(max)}`);
  }

  flag(entry: Entry | undefined, otherwise: boolean): boolean {
    if (entry === undefined) return otherwise;
    if (entry.kind === 'scalar' && typeof entry.value === 'boolean') return entry.value;
    this.faults.add(entry, 'must be `true` or `false`');
    return otherwise;
  }

  oneOf<const T extends string>(entry: Entry | null, words: readonly T[]): T | null {
    if (entry === null) return null;
    const found = entry.kind === 'scalar' ? words.find((word) => word === entry.value) : undefined;
    return found ?? this.refuse(entry, `must be one of ${quoted(words)}`);
  }

  refuse(entry: Entry, message: string): null {
    this.faults.add(entry, message);
    return null;
  }
}
