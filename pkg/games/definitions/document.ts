import {
  Composer,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  Parser,
  YAMLParseError,
} from 'yaml';
import type { Document, Node, Pair } from 'yaml';
import type { JsonObject, JsonValue } from '../../contract/event.js';
import type { FaultList, Place } from './faults.js';
import type { Turns } from './turns.js';

export const MAX_SOURCE_BYTES = 256 * 1024;
const MAX_DEPTH = 32;
/** Far more than a whole definition has; each costs its reading. */
const MAX_ENTRIES = 10_000;
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** A value of the document with the place it stands at: what every reading function takes. */
export type Entry = ScalarEntry | ListEntry | MapEntry;
export interface ScalarEntry extends Place {
  readonly kind: 'scalar';
  readonly value: string | number | boolean | null;
}
export interface ListEntry extends Place {
  readonly kind: 'list';
  readonly items: readonly Entry[];
}
export interface MapEntry extends Place {
  readonly kind: 'map';
  readonly entries: ReadonlyMap<string, Entry>;
  /** Where a key itself stands. */
  keyPlace(key: string): Place;
}

/**
 * Reads YAML 1.2 (core schema) as a tree that knows its lines. Refused, each with its place: more than 256 KiB, 32 levels
 * or 10,000 entries, several documents, anchors, aliases, tags, keys that are not text or stand twice, unsafe numbers. null when it cannot be read at all; otherwise the tree, as far as it is right.
 */
export function* readDocument(source: string, faults: FaultList): Turns<Entry | null> {
  if (Buffer.byteLength(source) > MAX_SOURCE_BYTES) {
    faults.add(
      START,
      `is larger than ${String(MAX_SOURCE_BYTES)} bytes; split the game or shorten the document`,
    );
    return null;
  }
  const lines = new LineCounter();
  const excess = yield* excessOf(source);
  if (excess !== null) {
    faults.add(START, excess);
    return null;
  }
  const document = yield* composed(source, lines);
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0]);
    faults.add({ path: '', line, column: col }, error.message);
  }
  if (document.errors.length > 0) return null;
  if (document.contents === null) {
    faults.add(START, 'is empty; begin with `events:`');
    return null;
  }
  yield;
  return new TreeBuilder(lines, faults).entry(document.contents, START);
}

/** A few milliseconds of reading. */
const TOKENS_PER_TURN = 2_000;

/** What `parseDocument` of the library does, in turns: the tokens by the thousand, then the nodes that they make. */
function* composed(source: string, lines: LineCounter): Turns<Document> {
  const parser = new Parser(lines.addNewLine);
  const tokens = [];
  let lexemes = 0;
  lines.addNewLine(0);
  for (const lexeme of new Lexer().lex(source)) {
    for (const token of parser.next(lexeme)) tokens.push(token);
    if ((lexemes += 1) % TOKENS_PER_TURN === 0) yield;
  }
  for (const token of parser.end()) tokens.push(token);
  yield;
  // Duplicate keys are found below: the composer's own check takes quadratic time.
  const composer = new Composer({ version: '1.2', schema: 'core', uniqueKeys: false });
  const [document, second] = composer.compose(tokens, true, source.length);
  if (document === undefined) throw new Error('the composer gives one document at the least');
  if (second !== undefined)
    document.errors.push(
      new YAMLParseError(
        [second.range[0], second.range[1]],
        'MULTIPLE_DOCS',
        'has multiple documents; keep one of them',
      ),
    );
  return document;
}

const START: Place = { path: '', line: 1, column: 1 };

/**
 * The parser recurses, and a deep document could exhaust its stack; a wide one takes it seconds. So depth and entries are
 * counted on the tokens beforehand. null: neither is too much.
 */
function* excessOf(source: string): Turns<string | null> {
  let flow = 0;
  let indicatorsOfLine = 0;
  let entries = 0;
  let lexemes = 0;
  for (const token of new Lexer().lex(source)) {
    if (token === '[' || token === '{') flow += 1;
    else if (token === ']' || token === '}') flow -= 1;
    else if (token === '-' || token === '?') indicatorsOfLine += 1;
    else if (token === '\n' || token === '\r\n') indicatorsOfLine = 0;
    if (ENTRY_TOKENS.has(token)) entries += 1;
    if (flow > MAX_DEPTH || indicatorsOfLine > MAX_DEPTH) return TOO_DEEP;
    if (entries > MAX_ENTRIES)
      return `has more than ${String(MAX_ENTRIES)} entries; split the game or shorten the document`;
    if ((lexemes += 1) % TOKENS_PER_TURN === 0) yield;
  }
  return null;
}

const TOO_DEEP = `is nested more than ${String(MAX_DEPTH)} levels deep; flatten it`;
/** What stands before or after an entry: a value of a mapping, an item of a list, a further one in brackets. */
const ENTRY_TOKENS: ReadonlySet<string> = new Set([':', '-', '?', ',', '[', '{']);

class TreeBuilder {
  constructor(
    private readonly lines: LineCounter,
    private readonly faults: FaultList,
  ) {}

  entry(node: unknown, fallback: Place, depth = 0): Entry {
    const place = isNode(node) ? this.placeOf(node, fallback) : fallback;
    if (depth > MAX_DEPTH) {
      this.faults.add(place, TOO_DEEP);
      return { ...place, kind: 'scalar', value: null };
    }
    this.refuseReferences(node, place);
    if (isMap(node)) return this.map(node.items, place, depth);
    if (isSeq(node)) {
      const items = node.items.map((item, index) =>
        this.entry(item, { ...place, path: `${place.path}[${String(index)}]` }, depth + 1),
      );
      return { ...place, kind: 'list', items };
    }
    return { ...place, kind: 'scalar', value: isScalar(node) ? this.scalar(node.value, place) : null };
  }

  private map(pairs: readonly Pair[], place: Place, depth: number): MapEntry {
    const entries = new Map<string, Entry>();
    const keyPlaces = new Map<string, Place>();
    for (const { key, value } of pairs) {
      const keyPlace = isNode(key) ? this.placeOf(key, place) : place;
      const name = isScalar(key) ? key.value : undefined;
      if (isNode(key)) this.refuseReferences(key, keyPlace);
      if (typeof name !== 'string') {
        this.faults.add(keyPlace, 'has a key that is not text; write it in quotes');
        continue;
      }
      const here = { ...keyPlace, path: place.path === '' ? name : `${place.path}.${name}` };
      if (FORBIDDEN_KEYS.has(name))
        this.faults.add(here, `"${name}" is a reserved word; choose another name`);
      else if (entries.has(name)) this.faults.add(here, 'stands twice; keep one of them');
      else {
        keyPlaces.set(name, here);
        entries.set(name, this.entry(value, here, depth + 1));
      }
    }
    return { ...place, kind: 'map', entries, keyPlace: (key) => keyPlaces.get(key) ?? place };
  }

  private scalar(value: unknown, place: Place): string | number | boolean | null {
    if (typeof value === 'number') {
      if (Number.isFinite(value) && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
      this.faults.add(place, 'is not a safe finite number; stay within 9007199254740991 (2^53 - 1)');
      return 0;
    }
    return typeof value === 'string' || typeof value === 'boolean' ? value : null;
  }

  private refuseReferences(node: unknown, place: Place): void {
    if (isAlias(node)) this.faults.add(place, 'is an alias (`*name`); write the value out');
    else if (isNode(node) && 'anchor' in node && typeof node.anchor === 'string') {
      this.faults.add(place, 'has an anchor (`&name`); remove it');
    }
    if (isNode(node) && typeof node.tag === 'string')
      this.faults.add(place, 'has a tag (`!name`); remove it');
  }

  private placeOf(node: Node, fallback: Place): Place {
    const start = node.range?.[0];
    // An empty value has a range after its colon; its key says more.
    if (start === undefined || node.range?.[0] === node.range?.[1]) return fallback;
    const { line, col } = this.lines.linePos(start);
    return { path: fallback.path, line, column: col };
  }
}

/** The entry as plain JSON. */
export function jsonOf(entry: Entry): JsonValue {
  if (entry.kind === 'scalar') return entry.value;
  if (entry.kind === 'list') return entry.items.map(jsonOf);
  return jsonObjectOf(entry);
}

export const jsonObjectOf = (entry: MapEntry): JsonObject =>
  Object.fromEntries([...entry.entries].map(([key, value]) => [key, jsonOf(value)]));
