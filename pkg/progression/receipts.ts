import { hash, sign, verify, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import type { Grant } from './fold.js';
import type { ReceiptAuthority, ReceiptClaims, ReceiptFault, ReceiptGrant, ReceiptVerdict } from './port.js';

const ALGORITHM = 'EdDSA';
const TYPE = 'fairtally-receipt+jwt';
const JWS_MAX_CHARACTERS = 8_192;
const ID_BYTES = 16;

const prefixed = (field: string): string => `${String(Buffer.byteLength(field))}:${field}`;

/**
 * A receipt's id (`jti`): base64url of the first 16 bytes of SHA-256 over game, player and grant key, each written
 * `<UTF-8 bytes>:<field>`.
 */
export function receiptIdOf(gameId: string, playerId: string, grantKey: string): string {
  const digest = hash('sha256', prefixed(gameId) + prefixed(playerId) + prefixed(grantKey), 'buffer');
  return digest.subarray(0, ID_BYTES).toString('base64url');
}

export const audienceOf = (gameId: string): string => `game:${gameId}`;

/** What the receipt of a grant says. */
export const receiptGrant = ({ grantKey, reward, amount, event }: Grant): ReceiptGrant => ({
  sub: event.playerId,
  jti: receiptIdOf(event.gameId, event.playerId, grantKey),
  iat: Math.floor(event.tsMs / 1000),
  reward,
  amount,
  cause: grantKey,
  src: event.src,
});

/** Off this thread: some 50 microseconds for each. */
const signAside = promisify(sign);

/** Compact JWS (RFC 7515, 8037) with the header `{alg, typ, kid}` and the claims in one fixed order. */
export async function signReceipt(
  claims: ReceiptClaims,
  kid: string,
  privateKey: KeyObject,
): Promise<string> {
  const { iss, aud, sub, jti, iat, reward, amount, cause, src } = claims;
  const input =
    `${encode({ alg: ALGORITHM, typ: TYPE, kid })}.` +
    encode({ iss, aud, sub, jti, iat, reward, amount, cause, src });
  const signature = await signAside(null, Buffer.from(input), privateKey);
  return `${input}.${signature.toString('base64url')}`;
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/**
 * Whether a text is a receipt that we issued and did not revoke. The algorithm is fixed, never taken from the header
 * (RFC 8725 section 3.1), and so are type, issuer and the shape of the claims. Rejects only when the keys or the revocations cannot be read.
 */
export async function verifyReceipt(jws: string, authority: ReceiptAuthority): Promise<ReceiptVerdict> {
  const parts = readJws(jws);
  if (parts === null) return invalid('malformed');
  const kid = kidOf(parts.header);
  if (kid === null) return invalid('wrong_header');
  const key = await authority.publicKey(kid);
  if (key === null || key.publicKey.asymmetricKeyType !== 'ed25519') return invalid('unknown_key');
  const { gameId, publicKey } = key;
  if (!verify(null, Buffer.from(parts.input), publicKey, parts.signature)) return invalid('bad_signature');
  const claims = parts.claims;
  if (!isReceipt(claims) || !belongs(claims, gameId, authority.issuer)) return invalid('wrong_claims');
  const revoked = await authority.isRevoked(gameId, claims.jti);
  return revoked ? { valid: false, claims, revoked, code: 'revoked' } : { valid: true, claims, revoked };
}

const invalid = (code: ReceiptFault): ReceiptVerdict => ({ valid: false, code });

interface Jws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What was signed. */
  readonly input: string;
  readonly signature: Buffer;
}

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/;

function readJws(jws: string): Jws | null {
  if (jws.length > JWS_MAX_CHARACTERS) return null;
  const [, first, second, third] = COMPACT.exec(jws) ?? [];
  if (first === undefined || second === undefined || third === undefined) return null;
  const header = readObject(first);
  const claims = readObject(second);
  const signature = Buffer.from(third, 'base64url');
  // The last character of 86 carries bits that no byte holds: only one spelling of a signature is accepted.
  if (header === null || claims === null || signature.toString('base64url') !== third) return null;
  return { header, claims, input: `${first}.${second}`, signature };
}

function readObject(part: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

const KID = /^[A-Za-z0-9_-]{1,64}$/;

/** The kid of a header that is exactly ours: no other algorithm, no `crit`, `jwk`, `jku` or `x5c` beside it. */
function kidOf(header: Readonly<Record<string, unknown>>): string | null {
  const { alg, typ, kid, ...others } = header;
  const isOurs = alg === ALGORITHM && typ === TYPE && Object.keys(others).length === 0;
  return isOurs && typeof kid === 'string' && KID.test(kid) ? kid : null;
}

const TEXTS = ['iss', 'aud', 'sub', 'jti', 'reward', 'cause'];

function isReceipt(claims: Readonly<Record<string, unknown>>): claims is Jws['claims'] & ReceiptClaims {
  return (
    TEXTS.every((name) => typeof claims[name] === 'string') &&
    Number.isSafeInteger(claims['iat']) &&
    Number.isSafeInteger(claims['amount']) &&
    (claims['src'] === 'server' || claims['src'] === 'client')
  );
}

/** A game's key speaks for that game alone; the id follows from the rest, so a receipt cannot borrow another's. */
const belongs = ({ iss, aud, sub, cause, jti }: ReceiptClaims, gameId: string, issuer: string): boolean =>
  iss === issuer && aud === audienceOf(gameId) && jti === receiptIdOf(gameId, sub, cause);
