import type { Board } from '../games/port.js';

/** One ranked list: a board's partition in one cycle. `partition` is '' where the board has none. */
export interface BoardKey {
  readonly gameId: string;
  readonly board: string;
  /** `<window>:<name>` */
  readonly cycle: string;
  readonly partition: string;
}

export interface Entry {
  /** From 1, without gaps: ties are broken by reachedAt, then by the subject's bytes. */
  readonly rank: number;
  readonly subject: string;
  readonly score: number;
  readonly reachedAtMs: number;
}

export type BoardState = 'live' | 'closing' | 'final' | 'revised';

/** A place in the order of a board, whether or not anyone holds it now. */
export interface Place {
  readonly score: number;
  readonly reachedAtMs: number;
  readonly subject: string;
}

/** What is asked of a board. */
export type BoardQuestion =
  /** The best, or those after a place. */
  | { readonly kind: 'top'; readonly limit: number; readonly after: Place | null }
  /** The neighbourhood of a subject, it in the middle where the board is long enough. */
  | { readonly kind: 'around'; readonly subject: string; readonly limit: number }
  /** The places of these subjects, best first; those without a place are left out. */
  | { readonly kind: 'subjects'; readonly subjects: readonly string[] };

export interface BoardSlice {
  /** Subjects that have a place, hidden players excluded. */
  readonly total: number;
  readonly entries: readonly Entry[];
}

/** Which rows are read: those that count on, or those of the snapshot made when the cycle closed. */
export type BoardRows = 'live' | 'snapshot';

/** What the truth knows of a cycle that has at least one score. */
export interface CycleRecord {
  readonly epoch: number;
  /** null: all-time. */
  readonly closesAtMs: number | null;
  readonly finalAtMs: number | null;
  /** An event counted after finalAtMs. */
  readonly revised: boolean;
  readonly updatedAtMs: number;
}

/** Boards read from the truth. Rejects with OutageError when it cannot be reached. */
export interface BoardReader {
  /** null when the cycle has no score. */
  cycle(key: BoardKey): Promise<CycleRecord | null>;
  read(key: BoardKey, board: Board, rows: BoardRows, question: BoardQuestion): Promise<BoardSlice>;
}

/** Boards read from the view. */
export interface BoardViewReader {
  /** null when the view of this cycle is not whole at this epoch; 'away' when the view cannot be reached. */
  read(
    key: BoardKey,
    board: Board,
    epoch: number,
    question: BoardQuestion,
  ): Promise<BoardSlice | null | 'away'>;
}
