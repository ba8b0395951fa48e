import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { DeliveryPolicy } from './deliver.js';
import type { Bus } from './port.js';
import { SqsLag } from './sqs-lag.js';
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
  const deadQueues = new Map<RoleName, SqsQueue>();
  const queueOf = (role: RoleName): SqsQueue => {
    const queue = queues.get(role);
    if (queue === undefined)
      throw new FairtallyError('unknown_role', `the bus keeps no copy for role ${role}`);
    return queue;
  };
  const deadQueueOf = (role: RoleName): SqsQueue => {
    const known = deadQueues.get(role) ?? new SqsQueue(client, queueNameOf(options.name, `${role}-dead`));
    deadQueues.set(role, known);
    return known;
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
  const lags = new SqsLag(clock);
  let isClosed = false;

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
    lag: async (role) => {
      const readers = [...subscriptions].filter(([, reader]) => reader === role);
      return lags.of(
        queueOf(role),
        deadQueueOf(role),
        readers.flatMap(([subscription]) => subscription.oldestInHandAtMs() ?? []),
      );
    },
    ping: async () => {
      if (isClosed) throw new OutageError('SQS', new Error('the bus is closed'));
      const answered = new AbortController();
      const tooLate = new AbortController();
      void clock.sleep(PING_TIMEOUT_MS, answered.signal).then(() => tooLate.abort());
      const pings = [...queues.values()].map((queue) => queue.ping(tooLate.signal));
      await Promise.all(pings).finally(() => answered.abort());
    },
    close: async () => {
      isClosed = true;
      await Promise.all([publisher.close(), ...[...subscriptions.keys()].map((one) => one.close())]);
      client.destroy();
    },
  };
}

const archiveFirst = (a: RoleName, b: RoleName): number => Number(b === 'archive') - Number(a === 'archive');
