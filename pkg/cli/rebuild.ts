import type { BoardView } from '../leaderboard/view.js';
import type { CycleScope } from '../leaderboard/view-port.js';
import type { Output } from './output.js';
import { countOf } from './plural.js';

/** Builds the views of boards anew from PostgreSQL, while they are read. 1 when one could not be built, or the names fit none. */
export async function rebuildViews(
  scope: CycleScope,
  { view, out }: { readonly view: Pick<BoardView, 'rebuild'>; readonly out: Output },
): Promise<number> {
  const counts = { built: 0, busy: 0, failed: 0 };
  await view.rebuild(scope, ({ done, total, key, result }) => {
    counts[result] += 1;
    if (result !== 'failed' && !out.isTerminal) return;
    const place = [key.gameId, key.board, key.partition, key.cycle].filter((word) => word !== '').join(' ');
    out.line(`${String(done)}/${String(total)} ${place}: ${result}`);
  });
  const { gameId, board } = scope;
  if (counts.built + counts.busy + counts.failed === 0 && (gameId !== undefined || board !== undefined)) {
    const names = [gameId === undefined ? '' : `game ${gameId}`, board === undefined ? '' : `board ${board}`];
    out.line(`Nothing to build: no cycle of ${names.filter((name) => name !== '').join(', ')} is known.`);
    return 1;
  }
  const busy = counts.busy === 0 ? '' : `, ${String(counts.busy)} in the hands of another process`;
  out.line(`${countOf(counts.built, 'view')} built, ${String(counts.failed)} failed${busy}.`);
  return counts.failed === 0 ? 0 : 1;
}
