import { FairtallyError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { Database } from '../postgres/port.js';
import type { DeliveryPolicy } from './deliver.js';
import type { Bus, Subscription } from './port.js';
import type { Heartbeat } from './postgres-lease.js';
import { readLag } from './postgres-log.js';
import { PostgresPublisher } from './postgres-publisher.js';
import { startSubscription } from './postgres-subscription.js';
import { Wakeup } from './wakeup.js';

export { rolesWithUnread } from './postgres-log.js';

export interface PostgresBusOptions extends DeliveryPolicy {
  /** The pool for publishing, reading and cursors. The caller closes it, after the bus. */
  readonly db: Database;
  /** The same database: every subscription holds one connection of its own for its lanes. */
  readonly url: string;
  /** Roles whose copies are kept until they have read them. Default: all. */
  readonly roles?: readonly RoleName[];
  /** Deliveries handed to a handler at once. */
  readonly batchMax?: number;
  /** Messages that may wait for the flush in flight. */
  readonly queueMax?: number;
  /** How often members look whether lanes are shared fairly, and so how long a dead member's lanes stay unread. */
  readonly rebalanceMs?: number;
  /** How long messages are kept after every role has read them. */
  readonly keepMs?: number;
  readonly trimEveryMs?: number;
  readonly publishTimeoutMs?: number;
  /** How a subscription notices that its connection is silent. */
  readonly heartbeat?: Heartbeat;
}

const BATCH_MAX = 500;
const REBALANCE_MS = 250;
const KEEP_MS = 3_600_000;
const TRIM_EVERY_MS = 10_000;

/**
 * The bus on PostgreSQL: one log of 32 lanes, a cursor per role and lane. Any number of gateways and workers may use one
 * database. See docs/adr for why positions are taken under the lanes' row locks.
 */
export function createPostgresBus(options: PostgresBusOptions): Bus {
  const { db, clock } = options;
  const wakeup = new Wakeup();
  const publisher = new PostgresPublisher({
    sql: db,
    clock,
    onPublished: () => wakeup.wake(),
    ...(options.queueMax === undefined ? {} : { queueMax: options.queueMax }),
    ...(options.publishTimeoutMs === undefined ? {} : { timeoutMs: options.publishTimeoutMs }),
  });
  const subscriptions = new Set<Subscription>();
  let isClosed = false;

  return {
    publish: (messages) => publisher.publish(messages),
    subscribe: async (role, handler) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      const subscription = startSubscription({
        ...options,
        role,
        handler,
        wakeup,
        roles: options.roles ?? ROLES,
        batchMax: options.batchMax ?? BATCH_MAX,
        rebalanceMs: options.rebalanceMs ?? REBALANCE_MS,
        keepMs: options.keepMs ?? KEEP_MS,
        trimEveryMs: options.trimEveryMs ?? TRIM_EVERY_MS,
      });
      subscriptions.add(subscription);
      return { close: () => subscription.close().finally(() => subscriptions.delete(subscription)) };
    },
    lag: (role) => readLag(db, role),
    ping: async () => {
      await db.query('SELECT 1');
    },
    close: async () => {
      isClosed = true;
      await Promise.all([
        publisher.close(),
        ...[...subscriptions].map((subscription) => subscription.close()),
      ]);
    },
  };
}
