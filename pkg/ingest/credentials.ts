import type { Game, KeyRing, Scope, SessionRevocation, SigningKey } from '../games/port.js';
import { parseSessionKeyId, sessionSecret, type SessionKey } from '../signing/session.js';
import type { Counter, Metrics } from '../runtime/port.js';
import type { SignatureScheme } from '../signing/verify.js';

/** Who signed, by a signing key or by a player's session. */
export interface Caller {
  readonly keyId: string;
  readonly gameId: string;
  readonly secret: string;
  readonly scopes: ReadonlySet<Scope>;
  readonly schemes: ReadonlySet<SignatureScheme>;
  readonly src: 'server' | 'client';
  /** The one player of a session; null for a signing key. */
  readonly playerId: string | null;
  readonly debug: boolean;
  /** null for a signing key. */
  readonly session: SessionKey | null;
}

/** A gateway that could not refresh its keys and revocations for longer refuses sessions. */
export const SESSION_REFRESH_MAX_AGE_MS = 60_000;

/** Seconds that the clocks of two gateways may be apart: one minted the session, another sees it. */
const MINT_SKEW_MS = 60_000;

const SESSION_SCHEMES: ReadonlySet<SignatureScheme> = new Set(['v1']);

/** Keys that get a label of their own; the later ones share `other`. */
const ENDING_KEYS_NAMED_MAX = 100;

/** What an unknown key is verified with, so that it costs and looks the same as a known one. */
export const DUMMY_SECRET = 'no key has this secret: it is only here to take the same time';

/** Finds the secret of a key id, and afterwards says whether the key may still be used. */
export class Credentials {
  readonly #ring: KeyRing;
  readonly #maxSessions: number;
  /** Sessions that have signed rightly, by key id, longest unused first: deriving a secret costs as much as a request. */
  readonly #sessions = new Map<string, { readonly master: Buffer; readonly caller: Caller }>();
  readonly #keys = new WeakMap<SigningKey, Caller>();
  readonly #revocations = new WeakMap<readonly SessionRevocation[], Revoked>();
  readonly #endingKeys: Counter;
  readonly #endingKeysNamed = new Set<string>();

  constructor(ring: KeyRing, maxSessions: number, metrics: Metrics) {
    this.#ring = ring;
    this.#maxSessions = maxSessions;
    this.#endingKeys = metrics.counter(
      'fairtally_ending_key_requests_total',
      'Requests rightly signed with a key that has an end: who still uses it must change to the next, and is refused after it',
      ['game', 'key', 'answer'],
    );
  }

  /**
   * Whether a session can be judged at all: beyond SESSION_REFRESH_MAX_AGE_MS, or when its game has too many, a revocation
   * may be unknown here.
   */
  sessionsAreKnown(keyId: string): boolean {
    if (this.#ring.ageMs() > SESSION_REFRESH_MAX_AGE_MS) return false;
    const session = this.#sessions.get(keyId)?.caller.session ?? parseSessionKeyId(keyId);
    return session === null || this.#ring.revocationsAreKnown(session.gameId);
  }

  /** null: unknown. Dates and revocations are judged by `isUsable`, after the signature. */
  find(keyId: string): Caller | null {
    const key = this.#ring.key(keyId);
    if (key !== null) return this.#keyCaller(key);
    return keyId.startsWith('ps1.') ? this.#session(keyId) : null;
  }

  /** Keeps the derived secret of a session whose signature was right. */
  remember(caller: Caller): void {
    if (caller.session === null || this.#sessions.has(caller.keyId)) return;
    const game = this.#ring.game(caller.gameId);
    if (game === null) return;
    this.#sessions.set(caller.keyId, { master: game.sessionMaster, caller });
    if (this.#sessions.size <= this.#maxSessions) return;
    for (const oldest of this.#sessions.keys()) {
      this.#sessions.delete(oldest);
      return;
    }
  }

  /**
   * Whether the key is in its time and not revoked. A caller learns no difference between the reasons; who runs the game sees
   * how often a key that ends is still used. Asked once per request, after its signature was right.
   */
  isUsable(caller: Caller, nowMs: number): boolean {
    if (caller.session !== null) return this.#isLive(caller.session, nowMs);
    const key = this.#ring.key(caller.keyId);
    if (key === null) return false;
    const isInTime =
      nowMs >= key.notBeforeMs &&
      (key.notAfterMs === null || nowMs < key.notAfterMs) &&
      (key.revokedAtMs === null || nowMs < key.revokedAtMs);
    if (key.notAfterMs !== null || key.revokedAtMs !== null) this.#countEnding(key, isInTime);
    return isInTime;
  }

  #countEnding({ gameId, keyId }: SigningKey, isInTime: boolean): void {
    const names = this.#endingKeysNamed;
    if (names.size < ENDING_KEYS_NAMED_MAX) names.add(keyId);
    const key = names.has(keyId) ? keyId : 'other';
    this.#endingKeys.inc({ game: gameId, key, answer: isInTime ? 'taken' : 'refused' });
  }

  #keyCaller(key: SigningKey): Caller {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    const { keyId, gameId, secret, scopes, schemes, trust, debug } = key;
    const caller: Caller = {
      keyId,
      gameId,
      secret,
      scopes,
      schemes,
      src: trust,
      playerId: null,
      debug,
      session: null,
    };
    this.#keys.set(key, caller);
    return caller;
  }

  #session(keyId: string): Caller | null {
    const known = this.#sessions.get(keyId);
    const session = known?.caller.session ?? parseSessionKeyId(keyId);
    if (session === null) return null;
    const game = this.#ring.game(session.gameId);
    if (game === null || game.sessionMasterId !== session.masterId) return null;
    if (known !== undefined && known.master === game.sessionMaster) {
      this.#sessions.delete(keyId);
      this.#sessions.set(keyId, known);
      return known.caller;
    }
    return sessionCaller(keyId, session, game);
  }

  #isLive(session: SessionKey, nowMs: number): boolean {
    const issuedMs = session.iat * 1000;
    if (nowMs < issuedMs - MINT_SKEW_MS || nowMs >= session.exp * 1000) return false;
    const list = this.#ring.revocations(session.gameId);
    if (list.length === 0) return true;
    let revoked = this.#revocations.get(list);
    if (revoked === undefined) this.#revocations.set(list, (revoked = new Revoked(list)));
    return !revoked.covers(session, issuedMs);
  }
}

const sessionCaller = (keyId: string, session: SessionKey, game: Game): Caller => ({
  keyId,
  gameId: session.gameId,
  secret: sessionSecret(game.sessionMaster, keyId),
  scopes: session.scopes,
  schemes: SESSION_SCHEMES,
  src: 'client',
  playerId: session.playerId,
  debug: false,
  session,
});

/**
 * A game's revocations, indexed. A session key id does not name the key that minted it, so a revocation by minting key ends
 * every session of the game issued before it: too many rather than too few.
 */
class Revoked {
  readonly #sids = new Set<string>();
  readonly #players = new Map<string, number>();
  #everybodyBeforeMs = -Infinity;

  constructor(list: readonly SessionRevocation[]) {
    for (const { sid, playerId, issuedBeforeMs } of list) {
      if (sid !== null) this.#sids.add(sid);
      else if (playerId === null) this.#everybodyBeforeMs = Math.max(this.#everybodyBeforeMs, issuedBeforeMs);
      else this.#players.set(playerId, Math.max(this.#players.get(playerId) ?? -Infinity, issuedBeforeMs));
    }
  }

  covers(session: SessionKey, issuedMs: number): boolean {
    if (this.#sids.has(session.sid) || issuedMs < this.#everybodyBeforeMs) return true;
    return issuedMs < (this.#players.get(session.playerId) ?? -Infinity);
  }
}
