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

/**
 * Verifies a request's signature over its body and that its key holds the scope (null: any scope will do). `arrivedAtMs` is
 * when the headers arrived: a slow body does not age a signature.
 */
export type Authenticate = (
  request: IncomingMessage,
  body: Buffer,
  scope: Scope | null,
  arrivedAtMs: number,
) => Authenticated;

/** Whether one more request from an address fits its budget, and what to tell it when it does not (Retry-After, RateLimit). */
export type TakeAddressBudget = (
  request: IncomingMessage,
) => Promise<{ readonly allowed: boolean; readonly headers: Readonly<Record<string, string>> }>;

/** Whether this process can take requests. `checks` says `ok` or what is wrong, by dependency. */
export interface Readiness {
  readonly ready: boolean;
  readonly state: 'starting' | 'ready' | 'unready' | 'draining';
  readonly checks: Readonly<Record<string, 'ok' | 'failed' | 'timeout' | 'storage_full'>>;
}

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
