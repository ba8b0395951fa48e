import type { RoleName } from '../kernel/roles.js';
import type { Metrics } from '../runtime/port.js';

export interface DispatchMetrics {
  batch(size: number): void;
  settled(verdicts: readonly ('applied' | 'duplicate' | 'conflict')[]): void;
  /** What a commit made, by kind. */
  made(effects: Readonly<Record<string, number>>): void;
  transactionRetried(): void;
}

const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000];

export function createDispatchMetrics(metrics: Metrics, role: RoleName): DispatchMetrics {
  const sizes = metrics.histogram('fairtally_role_batch_events', 'Deliveries per batch', BATCH_BUCKETS, [
    'role',
  ]);
  const events = metrics.counter('fairtally_role_events_total', 'Events by what became of them', [
    'role',
    'result',
  ]);
  const suppressed = metrics.counter(
    'fairtally_effect_duplicates_suppressed_total',
    'Deliveries of events that had taken effect before',
    ['role'],
  );
  const retries = metrics.counter(
    'fairtally_role_transaction_retries_total',
    'Transactions run again after a deadlock, a serialization failure or a lock timeout',
    ['role'],
  );
  const effects = metrics.counter(
    'fairtally_effects_total',
    'Receipts, findings and the like, as committed',
    ['role', 'effect'],
  );
  return {
    made: (made) => {
      for (const [effect, count] of Object.entries(made)) if (count > 0) effects.inc({ role, effect }, count);
    },
    batch: (size) => sizes.observe(size, { role }),
    settled: (verdicts) => {
      const counts = { applied: 0, duplicate: 0, conflict: 0 };
      for (const verdict of verdicts) counts[verdict] += 1;
      for (const [result, count] of Object.entries(counts))
        if (count > 0) events.inc({ role, result }, count);
      if (counts.duplicate > 0) suppressed.inc({ role }, counts.duplicate);
    },
    transactionRetried: () => retries.inc({ role }),
  };
}
