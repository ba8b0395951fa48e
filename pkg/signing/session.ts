import { isUtf8 } from 'node:buffer';
import { hkdfSync } from 'node:crypto';
import { FairtallyError } from '../kernel/errors.js';

/**
 * Player sessions: the key id says all there is to know and the secret follows from it, so that the gateway stores nothing.
 * `ps1.<masterId>.<gameId>.<base64url playerId>.<i|r|ir>.<iat>.<exp>.<sid>`
 */

export type SessionScope = 'ingest' | 'read';

export interface SessionKey {
  readonly masterId: string;
  readonly gameId: string;
  readonly playerId: string;
  readonly scopes: ReadonlySet<SessionScope>;
  /** Unix seconds. */
  readonly iat: number;
  /** Unix seconds; later than iat, by 24 h at most. */
  readonly exp: number;
  /** 16 random bytes, base64url. */
  readonly sid: string;
}

export const SESSION_KEY_ID_MAX = 320;
export const SESSION_MAX_SECONDS = 86_400;
export const SESSION_DEFAULT_SECONDS = 3_600;
export const SESSION_ID_BYTES = 16;
export const PLAYER_ID_MAX_BYTES = 128;

const SECRET_BYTES = 32;
const KEY_ID =
  /^ps1\.([a-z0-9-]{1,32})\.([a-z0-9-]{1,32})\.([A-Za-z0-9_-]{2,171})\.(i|r|ir)\.([1-9][0-9]{9})\.([1-9][0-9]{9})\.([A-Za-z0-9_-]{22})$/;

/** Characters that no player id may hold: U+0000, what is no character at all, and halves of surrogate pairs. */
const FORBIDDEN_CHARACTER = /[\u0000\ufffe\uffff\ud800-\udfff]/u;

const SCOPES: Readonly<Record<string, ReadonlySet<SessionScope>>> = {
  i: new Set<SessionScope>(['ingest']),
  r: new Set<SessionScope>(['read']),
  ir: new Set<SessionScope>(['ingest', 'read']),
};

/**
 * What a session key id says, or null when it is not exactly one: base64url must be in its one canonical form, so that no
 * two texts name the same session. Says nothing about whether it is signed, in its time or revoked.
 */
export function parseSessionKeyId(keyId: string): SessionKey | null {
  if (keyId.length > SESSION_KEY_ID_MAX) return null;
  const match = KEY_ID.exec(keyId);
  if (match === null) return null;
  const [masterId, gameId, player, letters, iatText, expText, sid] = match.slice(1) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const playerBytes = canonicalBytes(player);
  const scopes = SCOPES[letters];
  if (playerBytes === null || canonicalBytes(sid) === null || scopes === undefined) return null;
  if (playerBytes.length > PLAYER_ID_MAX_BYTES || !isUtf8(playerBytes)) return null;
  const playerId = playerBytes.toString('utf8');
  if (FORBIDDEN_CHARACTER.test(playerId)) return null;
  const iat = Number(iatText);
  const exp = Number(expText);
  if (exp <= iat || exp - iat > SESSION_MAX_SECONDS) return null;
  return { masterId, gameId, playerId, scopes, iat, exp, sid };
}

/** Node's decoder forgives junk and loose last bits; what does not come back as it was is refused. */
function canonicalBytes(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

/** Writes a session as its key id. Checks nothing: see mintSessionKeyId. */
export function formatSessionKeyId(session: SessionKey): string {
  const letters = (session.scopes.has('ingest') ? 'i' : '') + (session.scopes.has('read') ? 'r' : '');
  const player = Buffer.from(session.playerId, 'utf8').toString('base64url');
  const { masterId, gameId, iat, exp, sid } = session;
  return ['ps1', masterId, gameId, player, letters, String(iat), String(exp), sid].join('.');
}

/**
 * The key id of a new session. `sid` is 16 random bytes.
 *
 * @throws FairtallyError `invalid_session` when any part is outside its grammar: player id over 128 bytes or not
 *   well-formed, no scope, a life of none or more than 24 h
 */
export function mintSessionKeyId(session: Omit<SessionKey, 'sid'> & { readonly sid: Uint8Array }): string {
  const sid = Buffer.from(session.sid).toString('base64url');
  const keyId = formatSessionKeyId({ ...session, sid });
  // Reading it back finds every fault, also one that writing it would hide: half a surrogate pair becomes U+FFFD.
  if (parseSessionKeyId(keyId)?.playerId !== session.playerId) {
    throw new FairtallyError('invalid_session', 'a part of the session is outside its grammar or its limits');
  }
  return keyId;
}

/** The secret of a session, used as text: base64url of HKDF-SHA256 (RFC 5869) with an empty salt, 32 bytes. */
export function sessionSecret(master: Uint8Array, keyId: string): string {
  const secret = hkdfSync('sha256', master, '', `fairtally/session/v1\n${keyId}`, SECRET_BYTES);
  return Buffer.from(secret).toString('base64url');
}
