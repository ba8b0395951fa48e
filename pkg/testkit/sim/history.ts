import { contentHashOf, dedupeDayOf, identityOf } from '../../contract/identity.js';
import type { JsonObject } from '../../contract/event.js';

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

/** The clients' own record, as in Jepsen: intents, and what became of them as far as the clients were told. */
export class History {
  readonly fates = new Map<string, Fate>();
  /** Answers by idempotency scope, key and body, and whether they may differ since the store of keys lost something. */
  readonly answers = new Map<string, Set<string>>();

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
