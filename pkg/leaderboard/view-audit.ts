import type { Board } from '../games/port.js';
import type { BoardKey } from './port.js';
import type { BoardTruth, OpenCycle, ViewRow } from './view-port.js';

/** What a view holds of one subject; `place` is null for a hidden one. */
export interface StoredRow {
  readonly revision: number;
  readonly place: { readonly score: number; readonly reachedAtMs: number } | null;
}

/** By subject, null for one it does not hold; null altogether when the view is not whole at this epoch. */
export type StoredRows = (
  key: BoardKey,
  order: Board['order'],
  epoch: number,
  subjects: readonly string[],
) => Promise<readonly (StoredRow | null)[] | null>;

/** A member of the ranking itself, beside which no row of its subject need stand. */
export interface RankedMember {
  readonly subject: string;
  readonly score: number;
  readonly reachedAtMs: number;
}

/** The `count` best and as many from the place `at` (0 to 1) of the ranking on; null when the view is not whole at this epoch. */
export type RankedSample = (
  key: BoardKey,
  order: Board['order'],
  epoch: number,
  wanted: { readonly count: number; readonly at: number },
) => Promise<readonly RankedMember[] | null>;

export interface ViewDifference {
  readonly key: BoardKey;
  readonly subject: string;
  readonly expected: string;
  readonly found: string;
}

export interface ViewAuditDeps {
  readonly truth: Pick<BoardTruth, 'openCycles' | 'page'>;
  readonly stored: StoredRows;
  /** null: the board is not known any more. */
  readonly boardOf: (cycle: OpenCycle) => Promise<Board | null>;
}

const CYCLES_PAGE = 200;
const ROWS_PAGE = 400;
const DIFFERENCES_MAX = 1_000;

/**
 * Compares every view that readers may use (whole, of the current epoch) with the truth, row by row. What is on its way
 * differs for a moment: the caller looks again.
 */
export async function auditViews(deps: ViewAuditDeps, gameId: string): Promise<ViewDifference[]> {
  const differences: ViewDifference[] = [];
  let after: BoardKey | null = null;
  for (;;) {
    const cycles: readonly OpenCycle[] = await deps.truth.openCycles({ gameId }, after, CYCLES_PAGE);
    for (const cycle of cycles) {
      differences.push(...(await auditCycle(deps, cycle)));
      if (differences.length >= DIFFERENCES_MAX) return differences.slice(0, DIFFERENCES_MAX);
    }
    after = cycles.at(-1)?.key ?? null;
    if (after === null) return differences;
  }
}

async function auditCycle(deps: ViewAuditDeps, cycle: OpenCycle): Promise<ViewDifference[]> {
  const board = await deps.boardOf(cycle);
  if (board === null) return [];
  const differences: ViewDifference[] = [];
  for (let after = ''; ;) {
    const rows = await deps.truth.page(cycle.key, board.subjectField === null, after, ROWS_PAGE);
    const last = rows.at(-1);
    if (last === undefined) return differences;
    const subjects = rows.map((row) => row.subject);
    const held = await deps.stored(cycle.key, board.order, cycle.epoch, subjects);
    if (held === null) return []; // readers do not use it: they read the truth itself
    for (const [i, row] of rows.entries()) {
      const found = describe(held[i] ?? null);
      const expected = describe(storedAs(row));
      if (found !== expected) differences.push({ key: cycle.key, subject: row.subject, expected, found });
    }
    after = last.subject;
  }
}

export const storedAs = ({ revision, hidden, score, reachedAtMs }: ViewRow): StoredRow => ({
  revision,
  place: hidden ? null : { score, reachedAtMs },
});

export function describe(row: StoredRow | null): string {
  if (row === null) return 'no row';
  const place =
    row.place === null ? 'hidden' : `${String(row.place.score)} at ${String(row.place.reachedAtMs)}`;
  return `${place}, revision ${String(row.revision)}`;
}
