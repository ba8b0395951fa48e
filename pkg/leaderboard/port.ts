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
