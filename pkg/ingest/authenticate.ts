import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ProblemCode, ProblemExtras } from '../contract/problem.js';
import type { Scope } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { isRequestTarget } from '../signing/canonical.js';
import { canonicalOf, checkTime, readSignedHeaders, verifyMac } from '../signing/verify.js';
import { DUMMY_SECRET, type Caller, type Credentials } from './credentials.js';

export type Authentication =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly code: ProblemCode; readonly extras?: ProblemExtras };

export interface AuthenticateDeps {
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** Put back in front of the request target when a proxy strips it. */
  readonly signedPathPrefix: string;
}

const refuse = (code: ProblemCode, extras?: ProblemExtras): Authentication =>
  extras === undefined ? { ok: false, code } : { ok: false, code, extras };

/**
 * Verifies a request whose whole body is at hand (reads, sessions): v1 alone, in the order of docs/signing.md. Every
 * reason for which a key does not hold looks the same.
 */
export const createAuthenticate =
  ({ credentials, clock, signedPathPrefix }: AuthenticateDeps) =>
  (request: IncomingMessage, body: Buffer, scope: Scope): Authentication => {
    const target =
      signedPathPrefix + ((request as { originalUrl?: string }).originalUrl ?? request.url ?? '');
    const read = readSignedHeaders(request.headersDistinct);
    if (!read.ok) return refuse(read.code);
    const { headers } = read;
    if (headers.scheme !== 'v1' || !isRequestTarget(target)) return refuse('invalid_signature');
    const nowMs = clock.now();
    if (checkTime(headers, nowMs) !== 'ok') {
      return refuse('timestamp_out_of_tolerance', { serverTime: Math.floor(nowMs / 1000) });
    }
    if (headers.keyId.startsWith('ps1.') && !credentials.sessionsAreKnown())
      return refuse('sessions_unavailable');
    const caller = credentials.find(headers.keyId);
    const line = { method: request.method ?? '', target };
    const bodyHash = createHash('sha256').update(body).digest('hex');
    const isRight = verifyMac(line, headers, bodyHash, caller?.secret ?? DUMMY_SECRET);
    if (caller === null) return refuse('invalid_signature');
    if (!isRight || !caller.schemes.has('v1') || !credentials.isUsable(caller, nowMs)) {
      return refuse(
        'invalid_signature',
        caller.debug ? { canonical: canonicalOf(line, headers, bodyHash) } : undefined,
      );
    }
    credentials.remember(caller);
    return caller.scopes.has(scope) ? { ok: true, caller } : refuse('scope_missing');
  };
