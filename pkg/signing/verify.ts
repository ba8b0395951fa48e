import { createHmac, timingSafeEqual } from 'node:crypto';
import {
  canonicalString,
  isSigningKeyId,
  isTimestampText,
  readContentEncoding,
  readIdempotencyKey,
  trimHttp,
  type ContentEncoding,
} from './canonical.js';
import { hmacSha256Hex } from './hmac.js';
import { parseSessionKeyId } from './session.js';

/**
 * The steps of verifying, in the order in which a listener takes them: `readSignedHeaders`, `checkTime`, find the key (a
 * dummy secret when it is unknown), hash the body while it streams, `verifyMac`, and only then the key's dates and scopes.
 */

/** How far a client's clock may be off, measured when the headers arrive. */
export const TIME_TOLERANCE_MS = 300_000;

/** `X-Signature` may carry several versions, for the day there are several. */
const SIGNATURES_MAX = 3;

export type SignatureScheme = 'v1' | 'plain-timestamp' | 'plain-body';

export type SignatureFault =
  | 'duplicate_header'
  | 'missing_signature'
  | 'invalid_signature'
  | 'invalid_timestamp'
  | 'timestamp_out_of_tolerance'
  | 'invalid_idempotency_key'
  | 'unsupported_encoding';

export interface SignedHeaders {
  /** A signing key's id, or a session key's (then parseSessionKeyId reads it). */
  readonly keyId: string;
  /** As sent; null under plain-body without one. */
  readonly timestamp: string | null;
  /** Trimmed; null when absent, and always under the plain schemes, which do not sign it. */
  readonly idempotencyKey: string | null;
  readonly encoding: ContentEncoding;
  /** Told from the form of the headers, once. Whether the key and the route allow it is the caller's to check. */
  readonly scheme: SignatureScheme;
  /** 64 lowercase hex digits. */
  readonly macHex: string;
}

export type HeadersRead =
  | { readonly ok: true; readonly headers: SignedHeaders }
  | { readonly ok: false; readonly code: SignatureFault };

/** What Node gives as `headersDistinct`: lower-case names, every value that was sent. */
export type DistinctHeaders = Readonly<Record<string, readonly string[] | undefined>>;

const SIGNED_HEADERS = [
  'x-key-id',
  'x-timestamp',
  'idempotency-key',
  'x-signature',
  'content-encoding',
] as const;

const refuse = (code: SignatureFault): { ok: false; code: SignatureFault } => ({ ok: false, code });

/** Reads and checks the five headers. Looks at no key, no clock and no body. Never throws, whatever was sent. */
export function readSignedHeaders(distinct: DistinctHeaders): HeadersRead {
  for (const name of SIGNED_HEADERS) if ((distinct[name]?.length ?? 0) > 1) return refuse('duplicate_header');
  const keyId = distinct['x-key-id']?.[0];
  const timestamp = distinct['x-timestamp']?.[0] ?? null;
  const signature = distinct['x-signature']?.[0];
  if (keyId === undefined || signature === undefined) return refuse('missing_signature');
  if (!isKeyId(keyId)) return refuse('invalid_signature');

  const told = readSignature(signature, timestamp !== null);
  if (told === null) return refuse('invalid_signature');
  if (told.scheme !== 'v1' && !isSigningKeyId(keyId)) return refuse('invalid_signature'); // sessions speak v1 alone
  if (timestamp === null && told.scheme === 'v1') return refuse('missing_signature');
  if (timestamp !== null && !isTimestampText(timestamp)) return refuse('invalid_timestamp');

  const idempotencyKey = told.scheme === 'v1' ? readOptionalKey(distinct['idempotency-key']?.[0]) : null;
  if (idempotencyKey === undefined) return refuse('invalid_idempotency_key');
  const encoding = readContentEncoding(distinct['content-encoding']?.[0]);
  if (encoding === null) return refuse('unsupported_encoding');
  if (told.scheme !== 'v1' && encoding !== 'identity') return refuse('unsupported_encoding');
  return { ok: true, headers: { keyId, timestamp, idempotencyKey, encoding, ...told } };
}

const isKeyId = (keyId: string): boolean => isSigningKeyId(keyId) || parseSessionKeyId(keyId) !== null;

/** null: absent; undefined: present and wrong. */
const readOptionalKey = (header: string | undefined): string | null | undefined =>
  header === undefined ? null : (readIdempotencyKey(header) ?? undefined);

const MAC_HEX = /^[0-9a-f]{64}$/;
const SIGNATURE_ENTRY = /^(v[1-9][0-9]{0,2})=([\x21-\x2b\x2d-\x7e]{1,512})$/;

/**
 * Which scheme the header speaks, and its MAC; null when it is none of them. Bare hex is a plain scheme: with a timestamp
 * beside it `plain-timestamp`, without one `plain-body`. Otherwise a list of `version=value`: unknown versions are skipped.
 */
function readSignature(
  header: string,
  hasTimestamp: boolean,
): Pick<SignedHeaders, 'scheme' | 'macHex'> | null {
  if (MAC_HEX.test(header))
    return { scheme: hasTimestamp ? 'plain-timestamp' : 'plain-body', macHex: header };
  const only = header.startsWith('v1=') ? header.slice(3) : '';
  if (MAC_HEX.test(only)) return { scheme: 'v1', macHex: only }; // what all senders of today write
  const entries = header.split(',', SIGNATURES_MAX + 1);
  if (entries.length > SIGNATURES_MAX) return null;
  const byVersion = new Map<string, string>();
  for (const entry of entries) {
    const match = SIGNATURE_ENTRY.exec(trimHttp(entry));
    if (match === null) return null;
    const [, version, value] = match as unknown as [string, string, string];
    if (byVersion.has(version)) return null;
    byVersion.set(version, value);
  }
  const macHex = byVersion.get('v1');
  return macHex !== undefined && MAC_HEX.test(macHex) ? { scheme: 'v1', macHex } : null;
}

/** Whether the request is of our time. Needs no key, so it comes before one. A plain-body request has no time to check. */
export function checkTime(headers: SignedHeaders, nowMs: number): 'ok' | 'timestamp_out_of_tolerance' {
  if (headers.timestamp === null) return 'ok';
  const skewMs = Math.abs(nowMs - Number(headers.timestamp) * 1000);
  return skewMs <= TIME_TOLERANCE_MS ? 'ok' : 'timestamp_out_of_tolerance';
}

export interface SignedLine {
  readonly method: string;
  /** As the client sent it: with the prefix that a proxy stripped put back. */
  readonly target: string;
}

/** The canonical string that we built: shown to the holder of a key marked `debug`. Only v1 has one. */
export const canonicalOf = (line: SignedLine, headers: SignedHeaders, bodySha256Hex: string): string =>
  canonicalString({
    method: line.method,
    target: line.target,
    keyId: headers.keyId,
    timestamp: headers.timestamp ?? '',
    idempotencyKey: headers.idempotencyKey,
    encoding: headers.encoding,
    bodySha256Hex,
  });

/** Verifies a v1 request. Of the body only its SHA-256 is needed, so it can be hashed while it streams. Constant time. */
export function verifyMac(
  line: SignedLine,
  headers: SignedHeaders,
  bodySha256Hex: string,
  secret: string,
): boolean {
  if (headers.scheme !== 'v1') return false;
  const expected = hmacSha256Hex(secret, canonicalOf(line, headers, bodySha256Hex));
  return sameMac(Buffer.from(expected, 'hex'), headers.macHex);
}

/** Verifies a plain request, which needs the whole body. Constant time. */
export function verifyPlainMac(headers: SignedHeaders, body: Uint8Array, secret: string): boolean {
  if (headers.scheme === 'v1') return false;
  const mac = createHmac('sha256', secret).update(body);
  if (headers.scheme === 'plain-timestamp') mac.update(`.${headers.timestamp ?? ''}`);
  return sameMac(mac.digest(), headers.macHex);
}

/** The expression first: Buffer.from(.., 'hex') stops silently at junk, and timingSafeEqual throws on other lengths. */
const sameMac = (expected: Buffer, macHex: string): boolean =>
  MAC_HEX.test(macHex) && timingSafeEqual(expected, Buffer.from(macHex, 'hex'));
