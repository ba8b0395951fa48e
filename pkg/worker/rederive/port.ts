import type { DefinitionSource } from '../../games/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { PlayerRef } from '../port.js';

/** One thing about a player that is not what the events make it. */
export interface Wrong {
  readonly kind: string;
  readonly what: string;
  readonly expected: string;
  readonly found: string;
}

/** What a recount that shares nothing with the role's own fold says of a player. */
export interface Recounted {
  /** What the events make otherwise. */
  readonly wrong: readonly Wrong[];
  /** What is wrong and stays: a receipt without a cause is for people to revoke. */
  readonly kept: readonly Wrong[];
  /** Why the archive of this player cannot be counted from. */
  readonly unfit: readonly Wrong[];
  /** Why nothing was read of the player; null: it was. */
  readonly unread: string | null;
}

/** Looks at the effects of one role on some players of a game. Answers by player. */
export type Recount = (
  sql: Sql,
  role: RoleName,
  gameId: string,
  players: readonly string[],
) => Promise<ReadonlyMap<string, Recounted>>;

export type Verdict =
  | { readonly kind: 'exact'; readonly kept: readonly Wrong[] }
  /** `repaired`: it is what the events make it now. `wrong`: it would be; nothing was changed. */
  | {
      readonly kind: 'repaired' | 'wrong';
      readonly wrong: readonly Wrong[];
      readonly kept: readonly Wrong[];
    }
  /** The role has counted events that the archive does not have yet: look again. */
  | { readonly kind: 'moving' }
  /** Nothing was read of the player: there is too much, or the reading failed. What it is nobody knows. */
  | { readonly kind: 'unread'; readonly why: string }
  /** It cannot be made again from the archive, and stays as it is. */
  | { readonly kind: 'blocked'; readonly why: string };

export interface RederiveDeps {
  readonly db: Database;
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly recount: Recount;
  readonly clock: Clock;
  readonly random: Random;
}

/** What took effect in a role and is not in the archive. Whose event it is cannot be told from it. */
export interface Stranger {
  readonly dedupeDay: string;
  readonly identity: string;
  readonly contentHash: string;
  readonly lane: number;
}

/** What a role had counted of a game and the archive had not, at an instant. */
export interface Outstanding {
  readonly role: RoleName;
  readonly gameId: string;
  /** What was not seen then was settled after this, by the database's clock, UTC ms. */
  readonly unseenSinceMs: number;
  readonly strangers: readonly Stranger[];
}

/** A role that can make a player again (bound to what it needs). */
export interface Rederiver {
  readonly role: RoleName;
  rederive(player: PlayerRef, outstanding: Outstanding, isDryRun: boolean): Promise<Verdict>;
}

/** What became of a player that looked wrong in a role. */
export interface Healed extends PlayerRef {
  readonly role: RoleName;
  readonly verdict: Verdict;
}
