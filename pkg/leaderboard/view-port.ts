import type { Board } from '../games/port.js';
import type { BoardKey, BoardQuestion, BoardSlice, BoardViewReader } from './port.js';

/** A row of the truth as the view holds it. */
export interface ViewRow {
  readonly subject: string;
  readonly score: number;
  readonly reachedAtMs: number;
  /** Grows with each change of the score and with each hiding or restoring of the player. */
  readonly revision: number;
  readonly hidden: boolean;
}

/** A cycle without a snapshot yet: the only kind that has a view. */
export interface OpenCycle {
  readonly key: BoardKey;
  /** Even: raised by a build. Odd: the view is void, no build has this epoch. */
  readonly epoch: number;
  readonly closesAtMs: number | null;
  readonly definitionVersion: number;
}

export interface TruthSubject {
  readonly key: BoardKey;
  readonly subject: string;
  readonly ranksPlayers: boolean;
}

export interface TruthRow {
  readonly cycle: OpenCycle;
  readonly row: ViewRow;
}

/** Which cycles: all, those of a game, or those of one board of a game. */
export interface CycleScope {
  readonly gameId?: string;
  readonly board?: string;
}

/** What the view is made from. Every call is one statement, so its rows and epochs are of one snapshot. */
export interface BoardTruth {
  rows(subjects: readonly TruthSubject[]): Promise<readonly TruthRow[]>;
  /** Rows whose subject has a player's id, of boards of guilds too: the caller knows which boards rank players. */
  rowsOfPlayer(gameId: string, playerId: string): Promise<readonly TruthRow[]>;
  /** Whether a cycle has no snapshot yet. */
  isOpen(key: BoardKey): Promise<boolean>;
  page(
    key: BoardKey,
    ranksPlayers: boolean,
    afterSubject: string,
    limit: number,
  ): Promise<readonly ViewRow[]>;
  /** The new even epoch; null when the epoch is not the one seen any more, or the cycle is final. */
  raiseForBuild(key: BoardKey, seenEpoch: number): Promise<number | null>;
  /** Makes the epochs odd. */
  voidCycles(keys: readonly BoardKey[]): Promise<void>;
  /** Notes that the boards changed now. */
  touch(keys: readonly BoardKey[]): Promise<void>;
  openCycles(scope: CycleScope, after: BoardKey | null, limit: number): Promise<readonly OpenCycle[]>;
  /** Players hidden or restored lately. */
  changedPlayers(
    withinSeconds: number,
    limit: number,
  ): Promise<readonly { gameId: string; playerId: string }[]>;
}

export interface Mark {
  readonly epoch: number;
  readonly state: 'building' | 'complete';
}

export interface ApplyOptions {
  readonly epoch: number;
  /** The build that the caller makes, as `begin` named it: it keeps the mark alive. null: the caller makes none. */
  readonly build: string | null;
  /** UTC ms at which the cycle is forgotten; null: never. */
  readonly expireAtMs: number | null;
}

/** The store of views. Every call but `isAway` rejects when it cannot be reached; the effect is then unknown. */
export interface BoardViewStore extends BoardViewReader {
  isAway(): boolean;
  /**
   * Empties the view, marks it as being built and names the build; null when a build has this epoch or a later one. The name is the
   * store's: the same call executed twice begins two builds, and whoever did not get the answer has none.
   */
  begin(key: BoardKey, epoch: number): Promise<string | null>;
  /**
   * Sets rows where their revision is newer. `absent`: no view of this epoch stands, or not the caller's build; `newer`: one of a
   * later epoch does.
   */
  apply(
    key: BoardKey,
    order: Board['order'],
    rows: readonly ViewRow[],
    options: ApplyOptions,
  ): Promise<'applied' | 'absent' | 'newer'>;
  /** Marks the build as whole; false when it does not stand any more. */
  complete(key: BoardKey, epoch: number, build: string, expireAtMs: number | null): Promise<boolean>;
  marks(keys: readonly BoardKey[]): Promise<readonly (Mark | null)[]>;
  read(
    key: BoardKey,
    board: Board,
    epoch: number,
    question: BoardQuestion,
  ): Promise<BoardSlice | null | 'away'>;
}
