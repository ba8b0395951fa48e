import type { KeyObject } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { Clock } from '../../kernel/clock.js';

/** The key that signs now, and every key whose tokens may still live. */
export interface TokenKeys {
  current(): { readonly kid: string; readonly privateKey: KeyObject };
  publicKey(kid: string): Promise<KeyObject | null>;
}

/** What an access token says. */
export interface AccessClaims {
  readonly userId: string;
  readonly sessionId: string;
}

export interface AccessTokens {
  sign(claims: AccessClaims): Promise<{ readonly token: string; readonly expiresAtMs: number }>;
  /** null: not a token of ours, or no longer. */
  verify(token: string): Promise<AccessClaims | null>;
}

export const ACCESS_TOKEN_SECONDS = 15 * 60;
const ISSUER = 'fairtally-admin';
const TYPE = 'at+jwt';
const ALGORITHM = 'EdDSA';
const TOKEN_MAX_LENGTH = 2_048;

/** Access tokens (RFC 9068): one algorithm, one type, keys by the id we gave them and from nowhere else (RFC 8725). */
export function createAccessTokens(keys: TokenKeys, clock: Pick<Clock, 'now'>): AccessTokens {
  return {
    async sign({ userId, sessionId }) {
      const issuedAt = Math.floor(clock.now() / 1000);
      const expiresAt = issuedAt + ACCESS_TOKEN_SECONDS;
      const { kid, privateKey } = keys.current();
      const token = await new SignJWT({ sid: sessionId })
        .setProtectedHeader({ alg: ALGORITHM, typ: TYPE, kid })
        .setIssuer(ISSUER)
        .setAudience(ISSUER)
        .setSubject(userId)
        .setIssuedAt(issuedAt)
        .setExpirationTime(expiresAt)
        .sign(privateKey);
      return { token, expiresAtMs: expiresAt * 1000 };
    },
    async verify(token) {
      if (token.length > TOKEN_MAX_LENGTH) return null;
      try {
        const { payload } = await jwtVerify(token, ({ kid }) => keyOf(keys, kid), {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          audience: ISSUER,
          typ: TYPE,
          requiredClaims: ['sub', 'sid', 'iat', 'exp'],
          maxTokenAge: ACCESS_TOKEN_SECONDS,
          currentDate: new Date(clock.now()),
        });
        const { sub, sid } = payload;
        return typeof sub === 'string' && typeof sid === 'string' ? { userId: sub, sessionId: sid } : null;
      } catch (error) {
        if (error instanceof errors.JOSEError) return null;
        throw error;
      }
    },
  };
}

async function keyOf(keys: TokenKeys, kid: string | undefined): Promise<KeyObject> {
  const key = kid === undefined ? null : await keys.publicKey(kid);
  if (key === null) throw new errors.JWKSNoMatchingKey();
  return key;
}
