import type { ProblemCode } from '../contract/problem.js';
import type { Game, GameDefinition } from '../games/port.js';
import type { Caller } from './credentials.js';
import { encodeAdmitted } from './encode.js';
import { acceptanceWindow, judgeEvent, type Admission } from './judge-event.js';
import { DEFAULT_INGEST_LIMITS } from './limits.js';
import { parseStrictJson } from '../contract/strict-json.js';

/** What the way in would say of an event, before it asks what was published already. */
export type LineVerdict =
  | {
      readonly ok: true;
      readonly identity: string;
      readonly dedupeDay: string;
      readonly contentHash: string;
    }
  | { readonly ok: false; readonly code: ProblemCode };

export interface LineJudgeParts {
  readonly game: Pick<Game, 'gameId' | 'dedupeFloor' | 'acceptancePastMs' | 'acceptanceAheadMs'>;
  readonly definition: GameDefinition;
  readonly nowMs: number;
}

/** Judges events of a recording, each the text of one line, as if a server key with scope `replay` sent them now. Pure. */
export function createLineJudge({ game, definition, nowMs }: LineJudgeParts): (text: string) => LineVerdict {
  const caller: Caller = {
    keyId: '',
    gameId: game.gameId,
    secret: '',
    scopes: new Set(['ingest', 'replay']),
    schemes: new Set(['v1']),
    src: 'server',
    playerId: null,
    debug: false,
    session: null,
  };
  const admission: Admission = {
    caller,
    definition,
    window: acceptanceWindow(game, true, nowMs),
    nowMs,
    isBatch: true,
    idempotencyKey: null,
    context: null,
  };
  const { json, maxEventBytes } = DEFAULT_INGEST_LIMITS;
  return (text) => {
    const read = parseStrictJson(Buffer.from(text), json);
    const judged = read.ok ? judgeEvent(read.value, admission) : read;
    if (!judged.ok) return { ok: false, code: judged.code };
    const { event, payloadText } = judged;
    if (Buffer.byteLength(encodeAdmitted(event, payloadText)) > maxEventBytes)
      return { ok: false, code: 'event_too_large' };
    const { identity, dedupeDay, contentHash } = event;
    return { ok: true, identity, dedupeDay, contentHash };
  };
}
