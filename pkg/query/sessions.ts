import type { KeyRing } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import { mintSessionKeyId, sessionSecret, SESSION_ID_BYTES } from '../signing/session.js';
import type { Sessions } from './port.js';
import { RequestProblem } from '../http/request-problem.js';

export interface SessionDeps {
  readonly keyRing: KeyRing;
  readonly revocations: {
    revoke(gameId: string, which: Parameters<Sessions['revoke']>[1], issuedBeforeMs: number): Promise<void>;
  };
  readonly clock: Clock;
  readonly random: Random;
}

/** Mints without storing anything: the key id says all there is, and the secret follows from the game's master. */
export const createSessions = ({ keyRing, revocations, clock, random }: SessionDeps): Sessions => ({
  mint: (gameId, playerId, scopes, ttlSeconds) => {
    const game = keyRing.game(gameId);
    if (game === null) throw new RequestProblem('not_found');
    const iat = Math.floor(clock.now() / 1000);
    const exp = iat + ttlSeconds;
    const sid = random.bytes(SESSION_ID_BYTES);
    const keyId = mintSessionKeyId({
      masterId: game.sessionMasterId,
      gameId,
      playerId,
      scopes: new Set(scopes),
      iat,
      exp,
      sid,
    });
    return {
      keyId,
      secret: sessionSecret(game.sessionMaster, keyId),
      sid: sid.toString('base64url'),
      issuedAtMs: iat * 1000,
      expiresAtMs: exp * 1000,
    };
  },
  // A session minted in this very second was issued before the end of it.
  revoke: (gameId, which) => revocations.revoke(gameId, which, (Math.floor(clock.now() / 1000) + 1) * 1000),
});
