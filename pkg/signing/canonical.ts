/**
 * The text that a v1 signature covers, and the grammar of the headers that carry it. docs/signing.md is the same for
 * SDK authors; api/signing-vectors.json holds examples.
 */

export type ContentEncoding = 'identity' | 'gzip';

/** SHA-256 of no bytes at all. */
export const EMPTY_BODY_SHA256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export interface SignedRequest {
  readonly method: string;
  /** Exactly as sent: never decoded, sorted or normalised. */
  readonly target: string;
  readonly keyId: string;
  /** Ten digits, Unix seconds. */
  readonly timestamp: string;
  /** Already trimmed; null when there is none. */
  readonly idempotencyKey: string | null;
  readonly encoding: ContentEncoding;
  /** 64 lowercase hex digits, of the body as it travels: before gzip is undone. */
  readonly bodySha256Hex: string;
}

/** Eight lines joined by LF, none at the end. */
export function canonicalString(request: SignedRequest): string {
  const { method, target, keyId, timestamp, idempotencyKey, encoding, bodySha256Hex } = request;
  const lines = `v1\n${method.toUpperCase()}\n${target}\n${keyId}\n${timestamp}\n`;
  return `${lines}${idempotencyKey ?? ''}\n${encoding}\n${bodySha256Hex}`;
}

const REQUEST_TARGET = /^\/[\x21\x22\x24-\x7e]{0,2047}$/;
const SIGNING_KEY_ID = /^[A-Za-z0-9_-]{1,64}$/;
const TIMESTAMP = /^[1-9][0-9]{9}$/;
const IDEMPOTENCY_KEY = /^[A-Za-z0-9_.:-]{1,128}$/;
const HTTP_WHITE_SPACE = /^[ \t]+|[ \t]+$/g;

/** Begins with `/`, printable ASCII without `#`, at most 2048 bytes. */
export const isRequestTarget = (target: string): boolean => REQUEST_TARGET.test(target);

export const isSigningKeyId = (keyId: string): boolean => SIGNING_KEY_ID.test(keyId);

/** Unix seconds in exactly ten digits: 2001 to 2286. */
export const isTimestampText = (text: string): boolean => TIMESTAMP.test(text);

export const trimHttp = (text: string): string => text.replace(HTTP_WHITE_SPACE, '');

/** The key after trimming, or null when it breaks the grammar; an empty one does. */
export function readIdempotencyKey(header: string): string | null {
  const key = trimHttp(header);
  return IDEMPOTENCY_KEY.test(key) ? key : null;
}

/** An absent header means `identity`; null for any other coding, stacked ones included. */
export function readContentEncoding(header: string | undefined): ContentEncoding | null {
  if (header === undefined) return 'identity';
  const coding = trimHttp(header).toLowerCase();
  return coding === 'identity' || coding === 'gzip' ? coding : null;
}
