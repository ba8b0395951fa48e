import { canonicalJson } from '../contract/canonical-json.js';
import {
  contentHashOf,
  dedupeDayOf,
  identityOf,
  implicitId,
  isEventId,
  utcDayOf,
  type EventContent,
} from '../contract/identity.js';
import type { AdmittedEvent, EventContext, JsonObject, JsonValue } from '../contract/event.js';
import type { ProblemCode } from '../contract/problem.js';
import { parseTimestamp } from '../contract/timestamp.js';
import { REPLAY_KEY_PREFIX } from '../contract/replay-key.js';
import type { Game, GameDefinition, PayloadFault } from '../games/port.js';
import type { Caller } from './credentials.js';
import { pointerSegment } from '../contract/json-text.js';

const PLAYER_ID_MAX_BYTES = 128;
const SCHEMA_VERSION_MAX = 1_000_000;
const EVENT_TYPE = /^[a-z][a-z0-9_.-]{0,63}$/;
const FIELDS: ReadonlySet<string> = new Set(['id', 'type', 'playerId', 'ts', 'payload', 'schemaVersion']);

const DAY_MS = 86_400_000;

/** An event this much behind our time is flagged `late`: a role may show that it was. */
const LATE_AFTER_MS = 3_600_000;

/** From when to when an event may be, for one key at one moment. Days bound what an id claims as well as the event's time. */
export interface AcceptanceWindow {
  /** The game's floor: below it nothing is taken from anybody. */
  readonly floorDay: string;
  readonly earliestMs: number;
  readonly earliestDay: string;
  readonly latestMs: number;
  readonly latestDay: string;
  /** Before this only the scope `replay` let the event in. */
  readonly replayBeforeMs: number;
}

/** Keys with scope `replay` reach back to the floor and a day ahead; all others have the game's window. */
export function acceptanceWindow(
  game: Pick<Game, 'dedupeFloor' | 'acceptancePastMs' | 'acceptanceAheadMs'>,
  isReplay: boolean,
  nowMs: number,
): AcceptanceWindow {
  const usualMs = nowMs - game.acceptancePastMs;
  const earliestMs = isReplay ? -Infinity : usualMs;
  const latestMs = nowMs + (isReplay ? Math.max(DAY_MS, game.acceptanceAheadMs) : game.acceptanceAheadMs);
  const earliestDay = isReplay ? game.dedupeFloor : utcDayOf(Math.max(0, usualMs));
  return {
    floorDay: game.dedupeFloor,
    earliestMs,
    earliestDay,
    latestMs,
    latestDay: utcDayOf(latestMs),
    replayBeforeMs: usualMs,
  };
}

/** What all events of a request share. */
export interface Admission {
  readonly caller: Caller;
  readonly definition: GameDefinition;
  readonly window: AcceptanceWindow;
  readonly nowMs: number;
  readonly isBatch: boolean;
  /** Names a single event that came without an id. */
  readonly idempotencyKey: string | null;
  readonly context: EventContext | null;
}

export interface Rejection {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly pointer?: string;
  readonly eventId?: string;
  /** What the place wants, never what was sent. */
  readonly detail?: string;
}

export interface Admitted {
  readonly ok: true;
  readonly event: AdmittedEvent;
  /** canonicalJson of its payload: made for the content hash, used again for the bus. */
  readonly payloadText: string;
}

export type Judged = Admitted | Rejection;

const reject = (code: ProblemCode, pointer?: string): Rejection =>
  pointer === undefined ? { ok: false, code } : { ok: false, code, pointer };

/** Judges one event by its format, its time, its sender and its type. Pure: what was published before is not its business. */
export function judgeEvent(value: unknown, admission: Admission): Judged {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return reject('invalid_event');
  const sent = value as Readonly<Record<string, JsonValue>>;
  const { id } = sent;
  const judged = judgeFields(sent, admission);
  if (judged.ok || typeof id !== 'string' || !isEventId(id)) return judged;
  return { ...judged, eventId: id };
}

function judgeFields(sent: Readonly<Record<string, JsonValue>>, admission: Admission): Judged {
  for (const key in sent) if (!FIELDS.has(key)) return reject('unknown_field', pointerSegment(key));
  const { id, type, playerId, ts, payload, schemaVersion } = sent;
  if (id === undefined && admission.isBatch) return reject('id_required', '/id');
  if (id !== undefined && (typeof id !== 'string' || !isEventId(id))) return reject('invalid_id', '/id');
  if (type === undefined) return reject('missing_field', '/type');
  if (!isEventType(type)) return reject('invalid_type', '/type');
  if (playerId === undefined) return reject('missing_field', '/playerId');
  if (!isPlayerId(playerId)) return reject('invalid_player_id', '/playerId');
  if (ts === undefined) return reject('missing_field', '/ts');
  const tsMs = parseTimestamp(ts);
  if (tsMs === null) return reject('invalid_ts', '/ts');
  if (payload === undefined) return reject('missing_field', '/payload');
  if (!isObject(payload)) return reject('invalid_payload', '/payload');
  if (schemaVersion !== undefined && !isSchemaVersion(schemaVersion)) {
    return reject('invalid_schema_version', '/schemaVersion');
  }
  const { caller, definition } = admission;
  if (caller.playerId !== null && caller.playerId !== playerId) return reject('player_mismatch', '/playerId');
  const eventType = definition.eventTypes.get(type);
  if (eventType === undefined && definition.unknownTypes === 'refuse') return reject('unknown_type', '/type');
  if (eventType?.from === 'server' && caller.src === 'client') return reject('type_not_allowed', '/type');
  const fault = eventType?.validate(payload) ?? null;
  if (fault !== null) return payloadRejection(sent, fault);
  const content = { type, playerId, tsMs, payload };
  return settle(content, id, schemaVersion, eventType !== undefined, admission);
}

/** Gives an event its identity and holds its two days to the window. */
function settle(
  content: EventContent,
  sentId: string | undefined,
  schemaVersion: number | undefined,
  mapped: boolean,
  admission: Admission,
): Judged {
  const { caller, definition, window, nowMs } = admission;
  const { type, playerId, tsMs, payload } = content;
  const payloadText = canonicalJson(payload);
  const contentHash = contentHashOf(content, payloadText);
  const id = sentId ?? idOfUnnamed(admission.idempotencyKey, contentHash);
  const dedupeDay = dedupeDayOf(id, tsMs);
  const untimely = judgeTime(tsMs, dedupeDay, window);
  if (untimely !== null) return untimely;
  const context = contextOf(admission, tsMs);
  const event: AdmittedEvent = {
    v: 1,
    gameId: caller.gameId,
    playerId,
    id,
    type,
    tsMs,
    payload,
    identity: identityOf(caller.gameId, playerId, dedupeDay, id),
    dedupeDay,
    contentHash,
    receivedAtMs: nowMs,
    src: caller.src,
    keyId: caller.keyId,
    definitionVersion: definition.version,
    mapped,
    ...(schemaVersion === undefined ? null : { schemaVersion }),
    ...(context === null ? null : { context }),
  };
  return { ok: true, event, payloadText };
}

/** A signed Idempotency-Key names the event where it has the form of an id, else its content does. */
const idOfUnnamed = (idempotencyKey: string | null, contentHash: string): string =>
  idempotencyKey !== null && isEventId(idempotencyKey) ? idempotencyKey : implicitId(contentHash);

function judgeTime(tsMs: number, dedupeDay: string, window: AcceptanceWindow): Rejection | null {
  if (tsMs > window.latestMs) return reject('event_in_future', '/ts');
  if (dedupeDay > window.latestDay) return reject('event_in_future', '/id');
  if (tsMs < window.earliestMs || utcDayOf(tsMs) < window.floorDay) return reject('event_too_old', '/ts');
  if (dedupeDay < window.earliestDay || dedupeDay < window.floorDay) return reject('event_too_old', '/id');
  return null;
}

function contextOf({ caller, context, window, nowMs }: Admission, tsMs: number): EventContext | null {
  const isLate = tsMs < nowMs - LATE_AFTER_MS;
  const isFuture = tsMs > nowMs;
  const isReplay = tsMs < window.replayBeforeMs || caller.keyId.startsWith(REPLAY_KEY_PREFIX);
  if (!isLate && !isFuture && !isReplay) return context;
  return {
    ...context,
    ...(isLate ? { late: true } : {}),
    ...(isFuture ? { future: true } : {}),
    ...(isReplay ? { replay: true } : {}),
  };
}

const NUMBER_WANTED = /\b(?:number|integer)\b/;

/** A text where the schema wants a number is told as such: SDKs that quote numbers are common. */
function payloadRejection(sent: Readonly<Record<string, JsonValue>>, fault: PayloadFault): Rejection {
  const isQuoted = NUMBER_WANTED.test(fault.message) && typeof valueAt(sent, fault.pointer) === 'string';
  const { pointer, message } = fault;
  return { ok: false, code: isQuoted ? 'invalid_number' : 'invalid_payload', pointer, detail: message };
}

function valueAt(value: unknown, pointer: string): unknown {
  let at: unknown = value;
  for (const segment of pointer.split('/').slice(1)) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Record<string, unknown>)[segment.replaceAll('~1', '/').replaceAll('~0', '~')];
  }
  return at;
}

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const isEventType = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && EVENT_TYPE.test(value);

/** No UTF-16 unit takes more than three bytes, so most ids need not be measured. */
export const isPlayerId = (text: JsonValue | undefined): text is string =>
  typeof text === 'string' &&
  text.length > 0 &&
  (text.length * 3 <= PLAYER_ID_MAX_BYTES || Buffer.byteLength(text) <= PLAYER_ID_MAX_BYTES);

const isSchemaVersion = (value: JsonValue): value is number =>
  typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= SCHEMA_VERSION_MAX;
