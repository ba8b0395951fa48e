import { contentHashOf, dedupeDayOf, identityOf } from '../../contract/identity.js';
import type { JsonObject } from '../../contract/event.js';
import type { SimAnswer } from './door.js';

/** An event as a client means to send it. */
export interface Intent {
  readonly gameId: string;
  readonly playerId: string;
  readonly id: string;
  readonly type: string;
  readonly tsMs: number;
  readonly payload: JsonObject;
}

/** What clients know of one content under one identity. */
export interface Fate {
  readonly intent: Intent;
  readonly identity: string;
  readonly contentHash: string;
  sent: number;
  /** Answered `accepted` or `duplicate`. */
  acknowledged: number;
  /** Refused for good: 4xx, or `rejected` in a batch. */
  refused: number;
}

export interface Repeat {
  readonly isOther: boolean;
  readonly first: SimAnswer;
  readonly answer: SimAnswer;
}

/** The clients' own record, as in Jepsen: intents, and what became of them as far as the clients were told. */
export class History {
  readonly fates = new Map<string, Fate>();
  /** What came back when a key was used again that had been answered: with the same request, or with another body. */
  readonly repeats: Repeat[] = [];
  /** Answers that show a secret. */
  readonly leaks: string[] = [];

  fateOf(intent: Intent): Fate {
    const dedupeDay = dedupeDayOf(intent.id, intent.tsMs);
    const identity = identityOf(intent.gameId, intent.playerId, dedupeDay, intent.id);
    const contentHash = contentHashOf(intent);
    const key = `${identity} ${contentHash}`;
    let fate = this.fates.get(key);
    if (fate === undefined) {
      fate = { intent, identity, contentHash, sent: 0, acknowledged: 0, refused: 0 };
      this.fates.set(key, fate);
    }
    return fate;
  }
}
