import { PoisonError } from '../kernel/errors.js';

export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

/** An event that passed signature, limits and schema: what travels on the bus. Immutable from here on. */
export interface AdmittedEvent {
  /** Version of this envelope: see docs/operations.md, upgrades. Fields may be added within a version; readers pass over what they do not know. */
  readonly v: 1;
  readonly gameId: string;
  readonly playerId: string;
  readonly id: string;
  readonly type: string;
  /** Whole milliseconds UTC, settled at admission. */
  readonly tsMs: number;
  readonly payload: JsonObject;
  readonly schemaVersion?: number;
  /** 32 lowercase hex digits: first 16 bytes of SHA-256 over (gameId, playerId, dedupeDay, id). */
  readonly identity: string;
  /** `YYYY-MM-DD`: the UTC day inside a UUIDv7 or ULID id, else the UTC day of tsMs. */
  readonly dedupeDay: string;
  /** 64 lowercase hex digits: SHA-256 of the RFC 8785 form of {type, playerId, ts, payload}. */
  readonly contentHash: string;
  readonly receivedAtMs: number;
  readonly src: 'server' | 'client';
  readonly keyId: string;
  readonly definitionVersion: number;
  /** False when the definition does not know the type: archive keeps it, no other role takes it. */
  readonly mapped: boolean;
  readonly context?: EventContext;
}

export interface EventContext {
  readonly build?: string;
  readonly platform?: string;
  readonly sessionId?: string;
  readonly sentAtMs?: number;
  readonly traceparent?: string;
  readonly late?: true;
  readonly future?: true;
  readonly replay?: true;
  /** The id of the event whose place it takes in one role (docs/adr/0009). */
  readonly corrects?: string;
}

/** One line of JSON; what a bus carries as its body. */
export const encodeEvent = (event: AdmittedEvent): string => JSON.stringify(event);

const HEX32 = /^[0-9a-f]{32}$/;
const HEX64 = /^[0-9a-f]{64}$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0;

/**
 * Reads a body that came over a bus. A bus is not trusted: whatever does not have the exact shape is poison. So is what a
 * later build wrote in an envelope of its own, but under another name: it can be read once that build is back.
 *
 * @throws PoisonError `unreadable`, `unknown_version`
 */
export function decodeEvent(body: string): AdmittedEvent {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new PoisonError('unreadable', 'the message is not JSON');
  }
  if (isObject(value) && isLaterVersion(value['v'])) {
    throw new PoisonError(
      'unknown_version',
      'the message has an envelope of a later version than this build reads',
    );
  }
  const wrong = whatIsWrong(value);
  if (wrong !== null) throw new PoisonError('unreadable', `the message is not an admitted event: ${wrong}`);
  return value as AdmittedEvent;
}

const isLaterVersion = (version: unknown): boolean => Number.isSafeInteger(version) && Number(version) > 1;

function whatIsWrong(value: unknown): string | null {
  if (!isObject(value)) return 'not an object';
  if (value['v'] !== 1) return 'no envelope version';
  for (const key of ['gameId', 'playerId', 'id', 'type', 'keyId']) if (!isText(value[key])) return key;
  if (typeof value['identity'] !== 'string' || !HEX32.test(value['identity'])) return 'identity';
  if (typeof value['contentHash'] !== 'string' || !HEX64.test(value['contentHash'])) return 'contentHash';
  if (typeof value['dedupeDay'] !== 'string' || !DAY.test(value['dedupeDay'])) return 'dedupeDay';
  for (const key of ['tsMs', 'receivedAtMs', 'definitionVersion'])
    if (!Number.isSafeInteger(value[key])) return key;
  if (value['src'] !== 'server' && value['src'] !== 'client') return 'src';
  if (typeof value['mapped'] !== 'boolean') return 'mapped';
  if (!isObject(value['payload'])) return 'payload';
  if (value['context'] !== undefined && !isObject(value['context'])) return 'context';
  return null;
}
