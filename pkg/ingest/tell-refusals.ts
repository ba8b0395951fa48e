import type { IncomingMessage } from 'node:http';
import { problemKind, type ProblemCode } from '../contract/problem.js';
import { parseTimestamp } from '../contract/timestamp.js';
import type { RefusalDetails } from '../refusals/port.js';
import { parseSessionKeyId } from '../signing/session.js';
import type { Refusal } from './answer.js';
import type { Caller } from './credentials.js';
import { isEventType, isObject, isPlayerId, type Admission } from './judge-event.js';
import type { Parsed } from './parse-request.js';
import type { IngestDeps } from './port.js';
import type { RejectedEvent } from './event-result.js';
import type { Received, TurnedAway } from './receive.js';
import { snippetOf, snippetOfBytes } from './snippet.js';

/** An operator is told what the sender is not: that it was not the signature. */
const KEY_ENDED =
  'The signature is right, but the key or session is not in its time, is revoked, or may not sign in this way.';

const NOTHING_MORE = { eventId: null, type: null, tsMs: null, platform: null, pointer: null, snippet: null };

/** Tells those who look after a game what its senders were refused. Only what was refused costs anything. */
export class RefusalTeller {
  readonly #deps: Pick<IngestDeps, 'refusals' | 'keyRing' | 'clock'>;

  constructor(deps: Pick<IngestDeps, 'refusals' | 'keyRing' | 'clock'>) {
    this.#deps = deps;
  }

  /** One event of a request whose sender is known. */
  event({ caller, context, nowMs }: Admission, parsed: Parsed, result: RejectedEvent): void {
    const { gameId } = caller;
    const { code } = result;
    const kind = { gameId, isVerified: true, code, build: context?.build ?? null, atMs: nowMs };
    this.#deps.refusals.tell(kind, () => ({
      ...sentBy(caller),
      platform: context?.platform ?? null,
      pointer: result.pointer ?? null,
      detail: result.detail ?? null,
      ...describeEvent(caller, parsed, result),
    }));
  }

  /** A request whose sender is known, refused as a whole. */
  request({ caller, headers, body, nowMs }: Received, { code, extras = {} }: Refusal): void {
    if (!isOfTheSender(code)) return;
    const kind = { gameId: caller.gameId, isVerified: true, code, build: null, atMs: nowMs };
    this.#deps.refusals.tell(kind, () => ({
      ...sentBy(caller),
      ...NOTHING_MORE,
      pointer: extras.pointer ?? null,
      detail: extras.detail ?? null,
      snippet: headers.encoding === 'identity' ? snippetOfBytes(body.bytes) : null,
    }));
  }

  /**
   * A request that was turned away before it was taken apart. Whoever has no right signature may say what they like: nothing
   * but the key that they name is told, if there is one. What an address may not pay for is not looked into.
   */
  turnedAway(request: IncomingMessage, { code, signer }: TurnedAway): void {
    if (!isOfTheSender(code) || (code === 'rate_limited' && signer === undefined)) return;
    const keyId = request.headers['x-key-id'];
    if (typeof keyId !== 'string') return;
    const gameId = signer?.gameId ?? this.#gameOf(keyId);
    if (gameId === null) return;
    const isVerified = signer !== undefined && code !== 'invalid_signature';
    const detail = signer !== undefined && !isVerified ? KEY_ENDED : null;
    const kind = { gameId, isVerified, code, build: null, atMs: this.#deps.clock.now() };
    const who = signer === undefined ? { keyId, playerId: null, src: null } : sentBy(signer);
    this.#deps.refusals.tell(kind, () => ({ ...who, ...NOTHING_MORE, detail }));
  }

  /** The game of a key or session that it could be; null: of none. */
  #gameOf(keyId: string): string | null {
    const { keyRing } = this.#deps;
    const key = keyRing.key(keyId);
    if (key !== null) return key.gameId;
    const session = keyId.startsWith('ps1.') ? parseSessionKeyId(keyId) : null;
    if (session === null || keyRing.game(session.gameId)?.sessionMasterId !== session.masterId) return null;
    return session.gameId;
  }
}

/** What is ours, or passes by itself, says nothing of what was sent. */
const isOfTheSender = (code: ProblemCode): boolean => problemKind(code).status < 500;

const sentBy = ({ keyId, playerId, src }: Caller): Pick<RefusalDetails, 'keyId' | 'playerId' | 'src'> => ({
  keyId,
  playerId,
  src,
});

type OfEvent = Pick<RefusalDetails, 'playerId' | 'eventId' | 'type' | 'tsMs' | 'snippet'>;

/** A session speaks for its own player, whatever its events say. */
function describeEvent(
  { playerId }: Caller,
  { items, faulty, decoded }: Parsed,
  result: RejectedEvent,
): OfEvent {
  const item = items[result.index];
  const value = item?.ok === true ? item.value : undefined;
  const place = faulty.get(result.index);
  const sent = isObject(value) ? value : {};
  const { type, ts } = sent;
  return {
    playerId: playerId ?? (isPlayerId(sent['playerId']) ? sent['playerId'] : null),
    eventId: result.eventId ?? null,
    type: isEventType(type) ? type : null,
    tsMs: ts === undefined ? null : parseTimestamp(ts),
    snippet: place === undefined ? snippetOf(value ?? null) : snippetOfBytes(decoded, place.start, place.end),
  };
}
