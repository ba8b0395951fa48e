import { Ajv2020 } from 'ajv/dist/2020.js';
import type { AnySchemaObject, ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonObject, JsonValue } from '../../contract/event.js';
import type { EventType, PayloadFault } from '../port.js';
import { jsonObjectOf } from './document.js';
import type { Entry, MapEntry } from './document.js';
import type { Reading } from './reading.js';

/**
 * What a payload schema may say: the part of JSON Schema 2020-12 whose cost is linear in the payload. No `pattern`
 * (a regular expression can take for ever), no `$ref` (nothing is fetched), no combinations (an event is plain facts).
 */
const KEYWORDS: Readonly<Record<string, true>> = {
  title: true,
  description: true,
  type: true,
  enum: true,
  const: true,
  properties: true,
  required: true,
  additionalProperties: true,
  minProperties: true,
  maxProperties: true,
  items: true,
  minItems: true,
  maxItems: true,
  minLength: true,
  maxLength: true,
  minimum: true,
  maximum: true,
  exclusiveMinimum: true,
  exclusiveMaximum: true,
};
/** Of one payload, itself and its fields. Compiling them is one turn of the process, the longest there is. */
const MAX_SCHEMAS = 200;
const MAX_ENUM = 256;

export type PayloadCheck = Pick<EventType, 'schema' | 'validate'>;

/**
 * Reads the payload schema of one event type; `type: object` goes without saying. Keys that a payload has beyond its
 * `properties` stay, unless the schema says otherwise. It is compiled here unless the document is proven, else by the first
 * payload: compiling costs more than all other reading, and a process sees few of the types and versions that there are.
 */
export function readPayloadSchema(reading: Reading, entry: Entry): PayloadCheck | null {
  const map = reading.map(entry);
  if (map === null) return null;
  if (!reading.isProven) {
    const seen = { schemas: 0, faults: false };
    checkSchema(reading, map, seen);
    if (seen.faults) return null;
  }
  const schema = { type: 'object', ...jsonObjectOf(map) };
  if (schema.type !== 'object') return reading.refuse(map, 'a payload is an object; remove its `type`');
  let compiled = reading.isProven ? null : compileOrRefuse(reading, map, schema);
  if (compiled === null && !reading.isProven) return null;
  return { schema, validate: (payload) => firstFault((compiled ??= compile(schema)), payload) };
}

function checkSchema(reading: Reading, map: MapEntry, seen: { schemas: number; faults: boolean }): void {
  const refuse = (place: Parameters<typeof reading.faults.add>[0], message: string): void => {
    seen.faults = true;
    reading.faults.add(place, message);
  };
  seen.schemas += 1;
  if (seen.schemas === MAX_SCHEMAS + 1)
    refuse(map, `has more than ${String(MAX_SCHEMAS)} schemas; make it smaller`);
  for (const keyword of map.entries.keys()) {
    if (!Object.hasOwn(KEYWORDS, keyword)) refuse(map.keyPlace(keyword), unknownKeyword(keyword));
  }
  const values = map.entries.get('enum');
  if (values?.kind === 'list' && values.items.length > MAX_ENUM) {
    refuse(values, `has more than ${String(MAX_ENUM)} values; use a bounded string`);
  }
  const properties = map.entries.get('properties');
  const known = properties?.kind === 'map' ? properties.entries : new Map<string, Entry>();
  const required = map.entries.get('required');
  for (const item of required?.kind === 'list' ? required.items : []) {
    if (item.kind === 'scalar' && typeof item.value === 'string' && !known.has(item.value)) {
      refuse(item, `"${item.value}" is required but not among the properties; describe it there`);
    }
  }
  const inner = [...known.values(), map.entries.get('items'), map.entries.get('additionalProperties')];
  for (const child of inner) if (child?.kind === 'map') checkSchema(reading, child, seen);
}

const unknownKeyword = (keyword: string): string =>
  keyword === 'pattern'
    ? '`pattern` is not allowed, for a regular expression can take for ever; use `enum` or `maxLength`'
    : `unknown schema keyword; known here: ${Object.keys(KEYWORDS).join(', ')}`;

/**
 * Shared, because making one compiles the schema of schemas. It keeps no schema that passed through. Its optimizer takes
 * quadratic time, and what it takes out of the code costs V8 nothing.
 */
const ajvOptions = {
  strict: true,
  allowUnionTypes: true,
  ownProperties: true,
  logger: false,
  code: { optimize: false },
} as const;
const judge = new Ajv2020({ ...ajvOptions, allErrors: true });
const compiler = new Ajv2020({ ...ajvOptions, validateSchema: false });

/** Lets AJV judge the schema itself, and brings its words to the lines they speak of. */
function compileOrRefuse(reading: Reading, map: MapEntry, schema: JsonObject): ValidateFunction | null {
  if (judge.validateSchema(schema) !== true) {
    const told = new Set<string>();
    for (const error of judge.errors ?? []) {
      if (told.has(error.instancePath)) continue;
      told.add(error.instancePath);
      reading.faults.add(
        entryAt(map, error.instancePath),
        `is not a JSON Schema: ${error.message ?? error.keyword}`,
      );
    }
    return null;
  }
  try {
    return compile(schema);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^strict mode: /, '') : String(error);
    return reading.refuse(map, `is not a strict JSON Schema: ${reason}`);
  }
}

function compile(schema: JsonObject): ValidateFunction {
  try {
    return compiler.compile(schema as AnySchemaObject);
  } finally {
    compiler.removeSchema(schema);
  }
}

function entryAt(root: MapEntry, pointer: string): Entry {
  let entry: Entry = root;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    const next: Entry | undefined =
      entry.kind === 'map'
        ? entry.entries.get(key)
        : entry.kind === 'list'
          ? entry.items[Number(key)]
          : undefined;
    if (next === undefined) return entry;
    entry = next;
  }
  return entry;
}

function firstFault(compiled: ValidateFunction, payload: JsonValue): PayloadFault | null {
  if (compiled(payload)) return null;
  const first = compiled.errors?.[0];
  return first === undefined ? { pointer: '/payload', message: 'is not valid' } : faultOf(first);
}

/** Names the field at fault and the rule, never the value that was sent. */
function faultOf(error: ErrorObject): PayloadFault {
  const at = `/payload${error.instancePath}`;
  const params = error.params as Readonly<Record<string, unknown>>;
  if (error.keyword === 'required') {
    return { pointer: `${at}/${escapeToken(String(params['missingProperty']))}`, message: 'is required' };
  }
  if (error.keyword === 'enum') {
    const allowed = params['allowedValues'] as readonly JsonValue[];
    if (allowed.length <= 16)
      return { pointer: at, message: `must be one of ${allowed.map((v) => JSON.stringify(v)).join(', ')}` };
  }
  return { pointer: at, message: error.message ?? `breaks ${error.keyword}` };
}

const escapeToken = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
