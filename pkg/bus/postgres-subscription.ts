import type { RoleName } from '../kernel/roles.js';
import type { Database } from '../postgres/port.js';
import type { BackoffRule } from './backoff.js';
import { keepMembership } from './membership.js';
import { deliver, type DeliveryPolicy } from './deliver.js';
import { openLease, type Heartbeat, type LaneLease } from './postgres-lease.js';
import { ensureCursors, moveCursors, readBatch, settledPositions, trimLog } from './postgres-log.js';
import type { BatchHandler, Subscription } from './port.js';
import type { Wakeup } from './wakeup.js';

export interface SubscriptionOptions extends DeliveryPolicy {
  readonly db: Database;
  readonly url: string;
  readonly role: RoleName;
  readonly handler: BatchHandler;
  readonly wakeup: Wakeup;
  /** Roles whose copies are kept until they have read them. */
  readonly roles: readonly RoleName[];
  readonly batchMax: number;
  readonly rebalanceMs: number;
  readonly keepMs: number;
  readonly trimEveryMs: number;
  readonly heartbeat?: Heartbeat;
}

const IDLE: { readonly firstMs: number; readonly lastMs: number } = { firstMs: 2, lastMs: 50 };
const REJOIN: BackoffRule = { baseMs: 50, capMs: 2_000 };
const TRIM_PER_LANE = 1_000;
const TRIM_HASTE = 20;

/** One member of a role: joins, works, and joins again by itself when the server was away. */
export function startSubscription(options: SubscriptionOptions): Subscription {
  const onErrorText = 'the log cannot be read: the role joins again';
  return keepMembership({ ...options, rejoin: REJOIN, onErrorText }, (closing, onJoin) =>
    beMember(options, closing, onJoin),
  );
}

async function beMember(
  options: SubscriptionOptions,
  closing: AbortSignal,
  onJoin: () => void,
): Promise<void> {
  await ensureCursors(options.db, options.role);
  const lease = await openLease(options);
  try {
    await lease.rebalance();
    onJoin();
    await work(lease, options, closing);
  } finally {
    await lease.close();
  }
}

/** Batch after batch until the lease is lost or the subscription closes. Rejects when the server is away. */
async function work(lease: LaneLease, options: SubscriptionOptions, closing: AbortSignal): Promise<void> {
  const { db, role, clock, wakeup, batchMax, rebalanceMs, trimEveryMs } = options;
  const signal = AbortSignal.any([closing, lease.lost]);
  let idleMs = IDLE.firstMs;
  let rebalanceAtMs = clock.monotonicMs() + rebalanceMs;
  let trimAtMs = clock.monotonicMs() + trimEveryMs * options.random.unit();
  while (!signal.aborted) {
    const nowMs = clock.monotonicMs();
    if (nowMs >= rebalanceAtMs) {
      await lease.rebalance();
      rebalanceAtMs = nowMs + rebalanceMs;
    }
    if (nowMs >= trimAtMs) {
      const gone = await trimLog(db, options.roles, options.keepMs, TRIM_PER_LANE);
      // A log that has more to give up than one trim takes is trimmed more often, but never batch after batch.
      trimAtMs = nowMs + (gone < TRIM_PER_LANE ? trimEveryMs : trimEveryMs / TRIM_HASTE);
    }
    const seen = wakeup.count;
    const entries = lease.lanes.length === 0 ? [] : await readBatch(db, role, lease.lanes, batchMax);
    if (entries.length === 0) {
      await wakeup.wait(seen, idleMs, clock, signal);
      idleMs = Math.min(IDLE.lastMs, idleMs * 2);
      continue;
    }
    idleMs = IDLE.firstMs;
    // Between the read and here the lease may be lost: then the new holder has these messages.
    if (lease.lost.aborted) return;
    const deliveries = entries.map((entry) => entry.delivery);
    const settled = await deliver(deliveries, options.handler, { ...options, signal });
    if (lease.lost.aborted) return;
    await moveCursors(db, role, settledPositions(entries, settled));
  }
}
