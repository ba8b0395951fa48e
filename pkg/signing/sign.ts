import { createHmac, hash } from 'node:crypto';
import { canonicalString, type ContentEncoding } from './canonical.js';

export interface SignInput {
  readonly method: string;
  readonly target: string;
  readonly keyId: string;
  /** Unix seconds, ten digits. */
  readonly timestamp: string;
  readonly idempotencyKey?: string;
  readonly encoding?: ContentEncoding;
  /** The body as it travels (after gzip), or its SHA-256 as lowercase hex. */
  readonly body: Uint8Array | string | { readonly sha256Hex: string };
  /** As issued; its UTF-8 bytes are the key. */
  readonly secret: string;
}

export interface Signed {
  /** What was signed, for people who compare. */
  readonly canonical: string;
  /** The value of X-Signature: `v1=` and 64 lowercase hex digits. */
  readonly signature: string;
}

/** Signs a request as a client does (v1). Text bodies are taken as UTF-8. Checks no grammar: tests sign nonsense with it too. */
export function sign(input: SignInput): Signed {
  const canonical = canonicalString({
    method: input.method,
    target: input.target,
    keyId: input.keyId,
    timestamp: input.timestamp,
    idempotencyKey: input.idempotencyKey ?? null,
    encoding: input.encoding ?? 'identity',
    bodySha256Hex: bodySha256(input.body),
  });
  const mac = createHmac('sha256', input.secret).update(canonical).digest('hex');
  return { canonical, signature: `v1=${mac}` };
}

function bodySha256(body: SignInput['body']): string {
  if (typeof body === 'string' || body instanceof Uint8Array) return hash('sha256', body, 'hex');
  return body.sha256Hex;
}

/** The two plain schemes, for senders that can do no better. With a timestamp: HMAC over `body + "." + timestamp`; else the body alone. */
export function signPlain(body: Uint8Array | string, timestamp: string | null, secret: string): string {
  const mac = createHmac('sha256', secret).update(body);
  if (timestamp !== null) mac.update(`.${timestamp}`);
  return mac.digest('hex');
}
