import type { Access } from '../api/guard.js';
import type { GameRole, Person } from '../port.js';
import type { AccessTokens } from './access-tokens.js';

/** The name of a scheme may be written in any case (RFC 9110 section 11.1). */
const BEARER = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i;

/**
 * Reads the access token and asks the database about its session: the token alone says nothing about a session that has
 * ended since.
 */
export const createAccess =
  (
    tokens: AccessTokens,
    sessionAccess: (
      sessionId: string,
      gameId: string | null,
    ) => Promise<{ readonly person: Person; readonly role: GameRole | null } | null>,
  ): Access =>
  async (request, gameId) => {
    const [, token] = BEARER.exec(request.headers.authorization ?? '') ?? [];
    const claims = token === undefined ? null : await tokens.verify(token);
    if (claims === null) return null;
    const found = await sessionAccess(claims.sessionId, gameId);
    return found?.person.userId === claims.userId ? found : null;
  };
