import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { DeliveryPolicy } from './deliver.js';
import type { Bus, Lag } from './port.js';
import { SqsPublisher } from './sqs-publisher.js';
import { openSqs, queueNameOf, SqsQueue, type SqsEngine } from './sqs-queue.js';
import { startSqsSubscription, VISIBILITY_SECONDS, type SqsSubscription } from './sqs-subscription.js';

export interface SqsBusOptions extends DeliveryPolicy {
  readonly sqs: SqsEngine;
  /** The queues are `<name>-<role>.fifo`. */
  readonly name: string;
  /** The roles that get a copy. Default: all. */
  readonly roles?: readonly RoleName[];
  /** Deliveries handed to a handler at once. */
  readonly batchMax?: number;
  /** Messages that may be on their way to the queues. */
  readonly queueMax?: number;
  readonly publishTimeoutMs?: number;
  readonly visibilitySeconds?: number;
  readonly waitSeconds?: number;
}

const BATCH_MAX = 200;
const QUEUE_MAX = 10_000;
const PUBLISH_TIMEOUT_MS = 10_000;
const PING_TIMEOUT_MS = 3_000;
const WAIT_SECONDS = 5;

/**
 * The bus on SQS: a FIFO queue per role, a group per player. `publish` sends to the archive's queue first and to the others
 * after it has accepted; what only the archive has got can be sent again from there. See docs/buses.md for rights and costs.
 */
export function createSqsBus(options: SqsBusOptions): Bus {
  const { clock, random } = options;
  const client = openSqs(options.sqs);
  const roles = options.roles ?? ROLES;
  const queues = new Map(roles.map((role) => [role, new SqsQueue(client, queueNameOf(options.name, role))]));
  const queueOf = (role: RoleName): SqsQueue => {
    const queue = queues.get(role);
    if (queue === undefined)
      throw new FairtallyError('unknown_role', `the bus keeps no copy for role ${role}`);
    return queue;
  };
  const [firstRole = 'archive', ...otherRoles] = [...roles].sort(archiveFirst);
  const first = queueOf(firstRole);
  const publisher = new SqsPublisher({
    first,
    others: otherRoles.map(queueOf),
    clock,
    random,
    queueMax: options.queueMax ?? QUEUE_MAX,
    timeoutMs: options.publishTimeoutMs ?? PUBLISH_TIMEOUT_MS,
  });
  const subscriptions = new Map<SqsSubscription, RoleName>();
  /** By role: when it was last seen that nothing waits. */
  const emptyAtMs = new Map<RoleName, number>();
  let isClosed = false;

  /**
   * SQS does not tell how old its oldest message is. A role has the oldest in hand, or nearly; who does not read it knows that
   * all that waits came after the queue was last seen empty, was made, or began to forget.
   */
  const lag = async (role: RoleName): Promise<Lag> => {
    const askedAtMs = clock.now();
    const { waiting, createdAtMs, retentionMs } = await queueOf(role).counts();
    if (waiting === 0) {
      emptyAtMs.set(role, askedAtMs);
      return { waiting, oldestPublishedAtMs: null };
    }
    const inHand = [...subscriptions]
      .filter(([, reader]) => reader === role)
      .flatMap(([subscription]) => subscription.oldestInHandAtMs() ?? []);
    const earliestMs = Math.max(emptyAtMs.get(role) ?? 0, createdAtMs, askedAtMs - retentionMs);
    return { waiting, oldestPublishedAtMs: inHand.length > 0 ? Math.min(...inHand) : earliestMs };
  };

  return {
    publish: (messages) => publisher.publish(messages),
    subscribe: async (role, handler) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      const subscription = startSqsSubscription({
        ...options,
        queue: queueOf(role),
        role,
        handler,
        batchMax: options.batchMax ?? BATCH_MAX,
        visibilitySeconds: options.visibilitySeconds ?? VISIBILITY_SECONDS,
        waitSeconds: options.waitSeconds ?? WAIT_SECONDS,
      });
      subscriptions.set(subscription, role);
      return { close: () => subscription.close().finally(() => subscriptions.delete(subscription)) };
    },
    lag,
    ping: async () => {
      if (isClosed) throw new OutageError('SQS', new Error('the bus is closed'));
      const answered = new AbortController();
      const tooLate = new AbortController();
      void clock.sleep(PING_TIMEOUT_MS, answered.signal).then(() => tooLate.abort());
      await first.ping(tooLate.signal).finally(() => answered.abort());
    },
    close: async () => {
      isClosed = true;
      await Promise.all([publisher.close(), ...[...subscriptions.keys()].map((one) => one.close())]);
      client.destroy();
    },
  };
}

const archiveFirst = (a: RoleName, b: RoleName): number => Number(b === 'archive') - Number(a === 'archive');
