import type { IncomingMessage } from 'node:http';
import type { ProblemCode, ProblemExtras } from '../contract/problem.js';
import type { Scope } from '../games/port.js';

/** Who signed a request. */
export interface Caller {
  readonly gameId: string;
  readonly keyId: string;
  /** The player of a session; null for a signing key, which sees every player of its game. */
  readonly playerId: string | null;
}

export type Authenticated =
  | { readonly ok: true; readonly caller: Caller }
  | { readonly ok: false; readonly code: ProblemCode; readonly extras?: ProblemExtras };

/** Verifies a request's signature over its body and that its key holds the scope. */
export type Authenticate = (request: IncomingMessage, body: Buffer, scope: Scope) => Authenticated;

/** Whether one more request from an address fits its budget; seconds to wait when it does not. */
export type TakeAddressBudget = (
  request: IncomingMessage,
) => Promise<{ readonly allowed: boolean; readonly retryAfterSeconds: number }>;

export interface MintedSession {
  readonly keyId: string;
  readonly secret: string;
  readonly sid: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

/** Player sessions, minted and revoked. */
export interface Sessions {
  mint(
    gameId: string,
    playerId: string,
    scopes: readonly ('ingest' | 'read')[],
    ttlSeconds: number,
  ): MintedSession;
  revoke(
    gameId: string,
    which: { readonly sid: string } | { readonly playerId: string } | { readonly keyId: string },
  ): Promise<void>;
}
