import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoverageCounts } from './coverage.js';

/** What a test tells the run that it is part of. */
export type Report =
  | { readonly kind: 'mutant'; readonly name: string; readonly caughtBy: string; readonly worlds: number }
  | {
      readonly kind: 'worlds';
      readonly seeds: number;
      readonly steps: number;
      readonly coverage: CoverageCounts;
    };

/** Where scripts/run-tests.mjs reads it when all tests are over; nothing is told where nobody asked. */
export function tell(report: Report): void {
  const folder = process.env['SIMULATION_REPORT'];
  if (folder === undefined) return;
  appendFileSync(join(folder, `${String(process.pid)}.ndjson`), `${JSON.stringify(report)}\n`);
}
