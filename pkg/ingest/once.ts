import { hash } from 'node:crypto';
import type { ClaimResult, IdempotencyStore } from '../admission/port.js';
import { problemKind } from '../contract/problem.js';
import { refuse, retryAfter, type Answer, type Refusal } from './answer.js';
import type { Parsed } from './parse-request.js';
import type { Received } from './receive.js';

/** Does the work at most once per Idempotency-Key, and gives the first answer again (docs/signing.md). */
export async function once(
  store: IdempotencyStore,
  key: string,
  received: Received,
  parsed: Parsed,
  work: () => Promise<Answer>,
): Promise<Answer | Refusal> {
  const scope = scopeOf(received);
  const claim = await store.claim(scope, key, fingerprintOf(received, parsed));
  if (claim.kind === 'unavailable') return work();
  if (claim.kind !== 'claimed') return repeated(claim);
  try {
    const answer = await work();
    if (isKept(answer)) await store.complete(scope, key, claim.token, answer);
    else await store.release(scope, key, claim.token);
    return answer;
  } catch (error) {
    await store.release(scope, key, claim.token);
    throw error;
  }
}

/** A session's keys are its player's; the server keys of a game share theirs, so that a rotated key repeats a request. */
const scopeOf = ({ caller: { gameId, playerId } }: Received): string =>
  playerId === null ? `game:${gameId}` : `player:${gameId}:${playerId}`;

/** Lines 2, 3 and 7 of the signature and the body that they came to: the same request, however often it is signed again. */
function fingerprintOf({ headers, target, body }: Received, { decoded }: Parsed): string {
  const bodyHash = decoded === body.bytes ? body.sha256Hex : hash('sha256', decoded, 'hex');
  return hash('sha256', `POST\n${target}\n${headers.encoding}\n${bodyHash}`, 'hex');
}

/** The lease outlives the slowest publish; the usual one is over long before. */
const USUAL_WAIT_SECONDS = 2;

function repeated(claim: Exclude<ClaimResult, { kind: 'claimed' | 'unavailable' }>): Answer | Refusal {
  if (claim.kind === 'reused') return refuse('idempotency_key_reused');
  if (claim.kind === 'in-progress') {
    const waitSeconds = Math.min(claim.retryAfterSeconds, USUAL_WAIT_SECONDS);
    return refuse('request_in_progress', {}, retryAfter(waitSeconds));
  }
  const { status, body } = claim.answer;
  return { status, body, code: null, headers: { 'Idempotent-Replayed': 'true' } };
}

/** 2xx, and refusals that would be the same tomorrow. */
const isKept = ({ status, code }: Answer): boolean =>
  code === null || (status < 500 && problemKind(code).retryable !== true);
