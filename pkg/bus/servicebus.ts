import type { ServiceBusClient } from '@azure/service-bus';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { DeliveryPolicy } from './deliver.js';
import type { Bus, Lag, Subscription } from './port.js';
import {
  asOutage,
  closeClient,
  hasCode,
  SharedClient,
  within,
  type ServicebusAddress,
} from './servicebus-client.js';
import { SubscriptionLag } from './servicebus-lag.js';
import { startMember } from './servicebus-member.js';
import { ServicebusPublisher } from './servicebus-publisher.js';

export interface ServicebusBusOptions extends DeliveryPolicy {
  readonly servicebus: ServicebusAddress;
  /** The topic; each role has a subscription of it, named after the role. */
  readonly name: string;
  /** Roles that have a subscription. */
  readonly roles?: readonly RoleName[];
  /** Deliveries handed to a handler at once. */
  readonly batchMax?: number;
  /** Sessions, of 128, that one member of a role holds at once. */
  readonly sessionsMax?: number;
  /** Messages that may wait to be published. */
  readonly queueMax?: number;
  /** A caller of `publish` waits no longer. */
  readonly publishTimeoutMs?: number;
  /** How long an idle member waits for a session at the service before it asks again. */
  readonly acceptMs?: number;
}

const BATCH_MAX = 500;
const SESSIONS_MAX = 32;
const QUEUE_MAX = 10_000;
/** Below the 10 s that a gateway waits. */
const PUBLISH_TIMEOUT_MS = 8_000;
const ACCEPT_MS = 20_000;
const ASK_TIMEOUT_MS = 5_000;

/**
 * The bus on Azure Service Bus: a topic, a subscription per role, a session per lane of 128. The topic and its subscriptions are
 * made by `createServicebusOperator`, with rights that gateway and worker do not need.
 */
export function createServicebusBus(options: ServicebusBusOptions): Bus {
  const { servicebus: address, name: topic, roles = ROLES } = options;
  const publishTimeoutMs = options.publishTimeoutMs ?? PUBLISH_TIMEOUT_MS;
  const shared = new SharedClient(address, publishTimeoutMs);
  const publisher = new ServicebusPublisher({
    shared,
    topic,
    queueMax: options.queueMax ?? QUEUE_MAX,
    timeoutMs: publishTimeoutMs,
  });
  const lags = new WeakMap<ServiceBusClient, Map<RoleName, SubscriptionLag>>();
  const subscriptions = new Set<Subscription>();
  let isClosed = false;

  const requireRole = (role: RoleName): void => {
    if (!roles.includes(role))
      throw new FairtallyError('unknown_role', `the bus keeps no copy for role ${role}`);
  };

  const lagOf = (client: ServiceBusClient, role: RoleName): Promise<Lag> => {
    const known = lags.get(client) ?? new Map<RoleName, SubscriptionLag>();
    lags.set(client, known);
    const lag = known.get(role) ?? new SubscriptionLag(client, topic, role);
    known.set(role, lag);
    return within(publishTimeoutMs, 'peeking', lag.read());
  };

  return {
    publish: (messages) => publisher.publish(messages),
    subscribe: async (role, handler) => {
      if (isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
      requireRole(role);
      const subscription = startMember({
        ...options,
        address,
        topic,
        role,
        handler,
        batchMax: options.batchMax ?? BATCH_MAX,
        sessionsMax: options.sessionsMax ?? SESSIONS_MAX,
        acceptMs: options.acceptMs ?? ACCEPT_MS,
      });
      subscriptions.add(subscription);
      return { close: () => subscription.close().finally(() => subscriptions.delete(subscription)) };
    },
    lag: async (role) => {
      requireRole(role);
      return shared.use(({ client }) => lagOf(client, role)).catch(rethrowAsOutage);
    },
    ping: async () => {
      if (isClosed) throw new OutageError('Service Bus', new Error('the bus is closed'));
      const [anyRole] = roles;
      await shared.use(({ client }) => ask(client, topic, anyRole)).catch(rethrowAsOutage);
    },
    close: async () => {
      isClosed = true;
      await Promise.all([
        publisher.close(),
        ...[...subscriptions].map((subscription) => subscription.close()),
      ]);
      await shared.close();
    },
  };
}

const rethrowAsOutage = (error: unknown): never => {
  throw asOutage(error);
};

/** A question that must travel: a new link for sending; who may only listen peeks. */
async function ask(client: ServiceBusClient, topic: string, role: RoleName | undefined): Promise<void> {
  const sender = client.createSender(topic);
  try {
    await within(ASK_TIMEOUT_MS, 'opening a sender', sender.createMessageBatch());
  } catch (error) {
    if (!hasCode(error, 'UnauthorizedAccess') || role === undefined) throw error;
    await within(ASK_TIMEOUT_MS, 'peeking', client.createReceiver(topic, role).peekMessages(1));
  } finally {
    void closeClient(sender);
  }
}
