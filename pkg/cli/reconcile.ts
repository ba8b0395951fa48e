import type { RoleName } from '../kernel/roles.js';
import type { ReconcileCommand } from '../worker/reconcile/reconcile.js';
import type { Output } from './output.js';
import { table } from './table.js';

export interface ReconcileDeps {
  /** By role, how many events were missing. */
  readonly reconcile: (
    onProgress: NonNullable<ReconcileCommand['onProgress']>,
  ) => Promise<ReadonlyMap<RoleName, number>>;
  readonly out: Output;
}

/** Tells what roles lacked, and that it is on its way now, or would be. 1 when a dry run found that something is missing, as `audit` does. */
export async function reconcileCommand(
  isDryRun: boolean,
  { reconcile, out }: ReconcileDeps,
): Promise<number> {
  let told = 0;
  const missing = await reconcile(({ role, missing: found }) => {
    if (!out.isTerminal || found === told) return;
    told = found;
    out.line(`${role}: ${String(found)} missing so far`);
  });
  out.line(table(['role', isDryRun ? 'missing' : 'on its way'], [...missing]));
  const total = [...missing.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) out.line('Nothing is missing.');
  else if (isDryRun) out.line('Dry run: nothing was sent.');
  else out.line('The workers of the roles take it from here; `fairtally audit` tells when all is exact.');
  return isDryRun && total > 0 ? 1 : 0;
}
