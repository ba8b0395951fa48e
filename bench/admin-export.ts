import { systemClock as clock } from '../pkg/kernel/clock.js';
import { GREAT, SMALL, type Stand } from './admin-stand.js';
import { timed } from './asker.js';
import type { Bench } from './bench.js';
import { residentBytes } from './children.js';
import { mebibytes, percentile, type Figure } from './figure.js';

const FIRST_BYTES = 60;
const ROWS = 1_000_000;
const STALLED = 4;
const STALL_MS = 3_000;
const SAMPLE_MS = 50;
const GROWTH_MAX_MB = 64;
const GOAL_MS = 50;

/** How soon a board begins to come as CSV, and what a million rows of it cost the service in memory. */
export async function exportFigures(bench: Bench, stand: Stand): Promise<Figure[]> {
  const { adminAsker, headers, admin } = stand;
  const pathOf = (gameId: string, rows: number): string =>
    `/admin/v1/games/${gameId}/boards/xp/export?window=all-time&limit=${String(rows)}`;
  const firstBytes = async (gameId: string): Promise<number[]> => {
    const found: number[] = [];
    await timed(FIRST_BYTES, 4, async () => {
      const { firstByteMs } = await adminAsker.stream(pathOf(gameId, ROWS), headers(), () => false);
      found.push(firstByteMs);
    });
    return found;
  };
  const [small, great] = [await firstBytes(SMALL.gameId), await firstBytes(GREAT.gameId)];
  bench.tell('admin: a million rows as CSV');
  const before = residentBytes(admin.pid) ?? NaN;
  const memory = watch(admin.pid);
  const whole = await adminAsker.stream(pathOf(GREAT.gameId, ROWS), headers(), () => true);
  const greatest = memory.end();
  // Readers that take a little and then nothing: what they do not take must not pile up.
  const idle = watch(admin.pid);
  let isOver = false;
  await timed(STALLED, STALLED, () =>
    adminAsker.stream(pathOf(GREAT.gameId, ROWS), headers(), async () => {
      if (!isOver) await clock.sleep(STALL_MS);
      isOver = true;
      return false;
    }),
  );
  const stalled = idle.end();
  const p95 = percentile(great, 0.95);
  return [
    {
      name: 'first byte of a CSV export, 1,000,000 players',
      measured: `p50 ${percentile(great, 0.5).toFixed(1)} ms, p95 ${p95.toFixed(1)} ms`,
      limit: `1,000 players: p95 ${percentile(small, 0.95).toFixed(1)} ms`,
      value: p95,
      goal: { kind: 'atMost', value: GOAL_MS, unit: 'ms' },
    },
    {
      name: 'resident memory of the admin service, 1,000,000 rows as CSV',
      measured: `grew by ${mebibytes(greatest - before)} to ${mebibytes(greatest)}`,
      limit: '',
      value: (greatest - before) / 1024 / 1024,
      goal: { kind: 'atMost', value: GROWTH_MAX_MB, unit: 'MB more' },
      note:
        `${mebibytes(whole.bytes)} in ${whole.seconds.toFixed(1)} s; with ${String(STALLED)} readers that take nothing for ` +
        `${String(STALL_MS / 1000)} s at most ${mebibytes(stalled)}`,
    },
  ];
}

/** The greatest resident memory of a process until `end`. */
function watch(pid: number): { end(): number } {
  let greatest = residentBytes(pid) ?? NaN;
  const timer = setInterval(() => {
    greatest = Math.max(greatest, residentBytes(pid) ?? 0);
  }, SAMPLE_MS);
  return {
    end: () => {
      clearInterval(timer);
      return greatest;
    },
  };
}
