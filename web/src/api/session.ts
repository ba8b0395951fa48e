import { ApiError, type Problem } from './problem.ts';
import type { Schema } from './schema.ts';

export type SignedIn = Schema<'SignedIn'>;

/** Who is signed in. `unknown` until the refresh cookie, if there is one, was tried. */
export type SessionState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'nobody'; readonly reason?: string }
  | { readonly kind: 'someone'; readonly signedIn: SignedIn };

/** A page of another origin cannot send this header (CSRF); every request that changes something carries it. */
export const OWN_PAGE = { 'X-Fairtally-Request': '1' } as const;

const REFRESH = '/admin/v1/auth/refresh';
/** That a refresh cookie is likely to be there: scripts cannot see it, and asking without it would be refused. No secret. */
const HINT = 'fairtally-signed-in';
/** Tabs share the refresh cookie, which works once: they take turns, by a lock that the browser keeps for the origin. */
const REFRESH_LOCK = 'fairtally-refresh';

/**
 * The session of this tab. The access token is held here, in memory, and nowhere else; the refresh token is a cookie that scripts
 * cannot read.
 */
export function createSession(fetchIt: typeof fetch = (...request) => fetch(...request)) {
  let state: SessionState = { kind: 'unknown' };
  let renewal: Promise<SignedIn | null> | null = null;
  const watchers = new Set<() => void>();
  const become = (next: SessionState) => {
    state = next;
    if (next.kind === 'someone') localStorage.setItem(HINT, '1');
    else localStorage.removeItem(HINT);
    for (const tell of watchers) tell();
  };

  const askForToken = async (): Promise<SignedIn | null> => {
    const answer = await fetchIt(REFRESH, { method: 'POST', headers: OWN_PAGE, credentials: 'same-origin' });
    if (answer.ok) return (await answer.json()) as SignedIn;
    const problem = (await answer.json().catch(() => ({}))) as Problem;
    if (answer.status !== 401) throw new ApiError(answer.status, problem);
    const wasSignedIn = state.kind === 'someone' || problem.code === 'refresh_reused';
    become(wasSignedIn ? { kind: 'nobody', reason: endedBecause(problem) } : { kind: 'nobody' });
    return null;
  };
  const renew = async (): Promise<SignedIn | null> => {
    const signedIn = await navigator.locks.request(REFRESH_LOCK, askForToken);
    if (signedIn !== null) become({ kind: 'someone', signedIn });
    return signedIn;
  };

  return {
    state: () => state,
    watch(tell: () => void): () => void {
      watchers.add(tell);
      return () => watchers.delete(tell);
    },
    begin: (signedIn: SignedIn) => become({ kind: 'someone', signedIn }),
    end: (reason?: string) => become(reason === undefined ? { kind: 'nobody' } : { kind: 'nobody', reason }),
    /** At the start of the page: with the cookie of an earlier visit, or as nobody. */
    async resume(): Promise<void> {
      if (localStorage.getItem(HINT) === null) become({ kind: 'nobody' });
      else await this.renew();
    },
    /** A new access token, asked for once however many requests wait for it; null when the session is over. */
    renew(): Promise<SignedIn | null> {
      renewal ??= renew().finally(() => (renewal = null));
      return renewal;
    },
  };
}

export type Session = ReturnType<typeof createSession>;

const endedBecause = ({ code }: Problem): string =>
  code === 'refresh_reused'
    ? 'Your session was ended because an old token of it was used again. If that was not you, change your password.'
    : 'Your session has ended. Please sign in again.';
