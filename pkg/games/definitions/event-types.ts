import type { JsonObject, JsonValue } from '../../contract/event.js';
import type { EventType } from '../port.js';
import type { Entry, MapEntry } from './document.js';
import { readPayloadSchema } from './payload-schema.js';
import { EVENT_TYPE_NAME } from './reading.js';
import type { Reading } from './reading.js';
import type { Turns } from './turns.js';

const MAX_EVENT_TYPES = 200;
/** Text that becomes a key (a partition, a subject, a cause) is at most this long. */
const MAX_KEY_LENGTH = 128;

/** The event types read so far; a name maps to null when its own reading failed, so that no second fault is told. */
export type EventTypes = ReadonlyMap<string, EventType | null>;

export function* readEventTypes(reading: Reading, entry: Entry | null): Turns<EventTypes> {
  const types = new Map<string, EventType | null>();
  for (const [name, type] of reading.named(entry ?? undefined, EVENT_TYPE_NAME, MAX_EVENT_TYPES)) {
    types.set(name, readEventType(reading, name, type));
    yield;
  }
  return types;
}

function readEventType(reading: Reading, name: string, entry: Entry): EventType | null {
  const map = reading.map(entry, ['description', 'from', 'payload']);
  if (map === null) return null;
  const from = reading.oneOf(reading.required(map, 'from', 'any'), ['server', 'any']);
  const payload = reading.required(map, 'payload', '{ properties: { ... } }');
  const check = payload === null ? null : readPayloadSchema(reading, payload);
  return from === null || check === null ? null : { name, from, ...check };
}

/** What a part of the definition wants of the payload field it names. */
export type FieldUse =
  /** A whole number within +-`max`, never below `min`. */
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  /** Any number. */
  | { readonly kind: 'number' }
  /** Bounded text, never empty: it becomes part of a key. */
  | { readonly kind: 'key' }
  /** Only that it is described. */
  | { readonly kind: 'any' };

/** Looks up names that other parts of the definition use, and notes what is wrong with them. */
export class EventReferences {
  constructor(
    private readonly reading: Reading,
    private readonly types: EventTypes,
  ) {}

  /** The event type that `event: <name>` of a part names; null when there is none (noted) or it is broken itself. */
  eventType(map: MapEntry): EventType | null {
    const entry = this.reading.required(map, 'event', '<event type>');
    if (entry === null) return null;
    const name = entry.kind === 'scalar' ? String(entry.value) : '';
    const type = this.types.get(name);
    if (type === undefined) {
      const known = [...this.types.keys()].map((key) => `\`${key}\``).join(', ');
      return this.reading.refuse(
        entry,
        `"${name}" is not an event type; the document has ${known === '' ? 'none' : known}`,
      );
    }
    return type;
  }

  /** The payload field that an entry names, if the schema promises what the use needs. */
  field(
    entry: Entry | null,
    type: EventType | null,
    use: FieldUse,
    presence: 'required' | 'optional',
  ): string | null {
    if (entry === null || type === null) return null;
    const name = entry.kind === 'scalar' ? String(entry.value) : '';
    const schema = objectOf(objectOf(type.schema['properties'])?.[name]);
    if (schema === null) {
      return this.reading.refuse(
        entry,
        `field "${name}" is not in the payload schema of ${type.name}; describe it there`,
      );
    }
    const required = type.schema['required'];
    if (presence === 'required' && !(Array.isArray(required) && required.includes(name))) {
      return this.reading.refuse(
        entry,
        `field "${name}" may be absent from ${type.name}; add it to \`required\` of the payload`,
      );
    }
    const wrong = wrongFor(schema, use);
    return wrong === null ? name : this.reading.refuse(entry, `field "${name}" of ${type.name} ${wrong}`);
  }
}

function wrongFor(schema: JsonObject, use: FieldUse): string | null {
  if (use.kind === 'any') return null;
  if (use.kind === 'number') {
    return schema['type'] === 'integer' || schema['type'] === 'number'
      ? null
      : 'must have `type: integer` or `type: number`';
  }
  if (use.kind === 'key') return isBoundedText(schema) ? null : boundedTextAdvice;
  const { min, max } = use;
  if (schema['type'] !== 'integer') return 'must have `type: integer`';
  const lowest = schema['minimum'];
  const greatest = schema['maximum'];
  if (typeof lowest === 'number' && lowest >= min && typeof greatest === 'number' && greatest <= max)
    return null;
  return `must have \`minimum\` (at least ${String(min)}) and \`maximum\` (at most ${String(max)}), so that sums stay exact`;
}

const boundedTextAdvice = `must be text: \`type: string\` with \`minLength: 1\` and \`maxLength\` at most ${String(MAX_KEY_LENGTH)}, or an \`enum\` of such`;

function isBoundedText(schema: JsonObject): boolean {
  const values = schema['enum'] ?? (schema['const'] === undefined ? undefined : [schema['const']]);
  if (Array.isArray(values)) {
    return values.every(
      (value) => typeof value === 'string' && value.length > 0 && value.length <= MAX_KEY_LENGTH,
    );
  }
  const { type, minLength, maxLength } = schema;
  if (type !== 'string') return false;
  return (
    typeof minLength === 'number' &&
    minLength >= 1 &&
    typeof maxLength === 'number' &&
    maxLength <= MAX_KEY_LENGTH
  );
}

const objectOf = (value: JsonValue | undefined): JsonObject | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null;
