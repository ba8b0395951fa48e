import { hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ProblemCode, ProblemExtras } from '../contract/problem.js';
import type { Authenticate, Authenticated } from '../query/port.js';
import { isRequestTarget } from '../signing/canonical.js';
import { canonicalOf, checkTime, readSignedHeaders, verifyMac } from '../signing/verify.js';
import { DUMMY_SECRET, type Credentials } from './credentials.js';

export interface AuthenticateDeps {
  readonly credentials: Credentials;
  /** Put back in front of the request target when a proxy strips it. */
  readonly signedPathPrefix: string;
}

const refuse = (code: ProblemCode, extras: ProblemExtras = {}): Authenticated => ({
  ok: false,
  code,
  extras,
});

/** The request target exactly as it was sent: Express cuts `url` at mounts and keeps the whole beside it. */
const targetOf = (request: IncomingMessage & { readonly originalUrl?: string }): string =>
  request.originalUrl ?? request.url ?? '';

/**
 * Verifies a request whose whole body is at hand (reads, sessions): v1 alone, in the order of docs/signing.md. Every
 * reason for which a key does not hold looks the same.
 */
export const createAuthenticate =
  ({ credentials, signedPathPrefix }: AuthenticateDeps): Authenticate =>
  (request, body, scope, arrivedAtMs) => {
    const target = signedPathPrefix + targetOf(request);
    const read = readSignedHeaders(request.headersDistinct);
    if (!read.ok) return refuse(read.code);
    const { headers } = read;
    if (headers.scheme !== 'v1' || !isRequestTarget(target)) return refuse('invalid_signature');
    if (checkTime(headers, arrivedAtMs) !== 'ok')
      return refuse('timestamp_out_of_tolerance', { serverTime: Math.floor(arrivedAtMs / 1000) });
    if (headers.keyId.startsWith('ps1.') && !credentials.sessionsAreKnown(headers.keyId))
      return refuse('sessions_unavailable');
    const caller = credentials.find(headers.keyId);
    const line = { method: request.method ?? '', target };
    const bodyHash = hash('sha256', body, 'hex');
    const isRight = verifyMac(line, headers, bodyHash, caller?.secret ?? DUMMY_SECRET);
    if (caller === null) return refuse('invalid_signature');
    if (!isRight || !caller.schemes.has('v1') || !credentials.isUsable(caller, arrivedAtMs))
      return refuse(
        'invalid_signature',
        caller.debug ? { canonical: canonicalOf(line, headers, bodyHash) } : {},
      );
    credentials.remember(caller);
    return scope === null || caller.scopes.has(scope) ? { ok: true, caller } : refuse('scope_missing');
  };
