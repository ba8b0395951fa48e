import type { ProblemCode } from '../contract/problem.js';

/** What is counted of every refusal. */
export interface RefusalKind {
  readonly gameId: string;
  /** Its signature was right, by a key that is in its time. What is not has a small share of its own. */
  readonly isVerified: boolean;
  readonly code: ProblemCode;
  /** The client's build, as it told it; null: it did not. */
  readonly build: string | null;
  /** UTC ms. */
  readonly atMs: number;
}

/** What is kept of some: for those who look after the game. Holds no secret and no signature. */
export interface RefusalDetails {
  /** As it was sent; only a right signature makes it the sender's. */
  readonly keyId: string;
  /** null where nobody has shown to be, or to speak for, that player. */
  readonly playerId: string | null;
  readonly eventId: string | null;
  readonly type: string | null;
  readonly tsMs: number | null;
  readonly src: 'server' | 'client' | null;
  readonly platform: string | null;
  /** JSON Pointer (RFC 6901). */
  readonly pointer: string | null;
  readonly detail: string | null;
  /** The beginning of what was sent. */
  readonly snippet: string | null;
}

export interface RefusalSink {
  /**
   * Takes note of a refusal. Best effort: it never waits and never throws, and `describe` is asked only where there is room
   * for what it says.
   */
  tell(kind: RefusalKind, describe: () => RefusalDetails): void;
}

/** A refusal that is kept. */
export interface ToldRefusal extends RefusalKind, RefusalDetails {}

/** How many refusals of a kind there were in a minute. */
export interface MinuteCount {
  readonly gameId: string;
  /** UTC ms of its beginning. */
  readonly minuteMs: number;
  readonly code: string;
  /** '' for none, `other` beyond the builds that are told apart. */
  readonly build: string;
  readonly events: number;
}

/** Where refusals are kept. */
export interface RefusalStore {
  /** All of it or nothing. @throws OutageError, after which nobody knows which of the two */
  write(refusals: readonly ToldRefusal[], counts: readonly MinuteCount[]): Promise<void>;
  /** Takes away what these games have too much of, the oldest first. False: somebody else does so now. */
  trim(gameIds: readonly string[]): Promise<boolean>;
  /** Takes away what is too old, of all games. */
  forgetOld(): Promise<void>;
}
