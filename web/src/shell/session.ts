import { useSyncExternalStore } from 'react';
import { session } from '../api/client.ts';
import type { SessionState } from '../api/session.ts';

export const useSession = (): SessionState => useSyncExternalStore(session.watch, session.state);

/** Who is signed in; only below the part of the page that needs a session. */
export function useMe() {
  const state = useSession();
  if (state.kind !== 'someone') throw new Error('useMe: nobody is signed in');
  return state.signedIn.me;
}
