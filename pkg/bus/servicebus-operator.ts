import {
  ServiceBusAdministrationClient,
  type ServiceBusAdministrationClientOptions,
  type SubscriptionProperties,
  type TopicProperties,
} from '@azure/service-bus';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { BusOperator, Created, TopologyItem } from './operator.js';
import type { ServicebusAddress } from './servicebus-client.js';
import { collectFromServicebus } from './servicebus-collect.js';
import {
  azLine,
  isRight,
  subscriptionSettings,
  topicSettings,
  valuesOf,
  type Setting,
} from './servicebus-settings.js';

type Policy = Parameters<ServiceBusAdministrationClient['pipeline']['addPolicy']>[0];

export interface ServicebusOperatorOptions {
  readonly servicebus: ServicebusAddress;
  /** The topic; each role has a subscription of it, named after the role. */
  readonly name: string;
  readonly roles?: readonly RoleName[];
  /** Of a delivery inside a worker. The broker gives a message up only long after. */
  readonly maxAttempts: number;
  /** Sees every request of the management API before it is sent: to go through a proxy. */
  readonly policy?: Policy;
}

/** One entity: how to look at it, make it and set what may be set. */
interface Entity<Properties extends object> {
  readonly resource: string;
  readonly settings: readonly Setting<Properties>[];
  get(client: ServiceBusAdministrationClient): Promise<Properties>;
  make(client: ServiceBusAdministrationClient, values: Record<string, unknown>): Promise<unknown>;
  set(client: ServiceBusAdministrationClient, values: Record<string, unknown>): Promise<unknown>;
  byHand(verb: 'create' | 'update', settings: readonly Setting<Properties>[]): string;
}

/** Standard takes 256 KB and tells no number; a Premium topic tells its own. */
const MESSAGE_KILOBYTES_MIN = 256;
const RETRIES: ServiceBusAdministrationClientOptions = {
  retryOptions: { maxRetries: 2, retryDelayInMs: 200 },
};

/** Makes and compares the topic and its subscriptions. What a role has read is gone from Service Bus, so there is no rewind. */
export function createServicebusOperator(options: ServicebusOperatorOptions): BusOperator {
  let opening: Promise<ServiceBusAdministrationClient> | null = null;
  const open = (): Promise<ServiceBusAdministrationClient> => (opening ??= openAdministration(options));
  const namespace = namespaceOf(options.servicebus);
  const topic = topicEntity(namespace, options.name);
  const subscriptions = (options.roles ?? ROLES).map((role) =>
    subscriptionEntity(namespace, options.name, role, options.maxAttempts),
  );
  return {
    check: async () => {
      const client = await open();
      const items = await checkTopic(client, topic);
      for (const subscription of subscriptions)
        items.push(...compare(subscription, await find(client, subscription)));
      return items;
    },
    create: async () => {
      const client = await open();
      const done = [await make(client, topic)];
      for (const subscription of subscriptions) done.push(await make(client, subscription));
      return done;
    },
    collect: (sink, roles) => collectFromServicebus(options.servicebus, options.name, sink, roles),
    close: async () => undefined, // each request has its own connection
  };
}

async function openAdministration({
  servicebus,
  policy,
}: ServicebusOperatorOptions): Promise<ServiceBusAdministrationClient> {
  const client = await administrationOf(servicebus);
  if (policy !== undefined) client.pipeline.addPolicy(policy);
  return client;
}

async function administrationOf({
  connectionString,
  namespace,
}: ServicebusAddress): Promise<ServiceBusAdministrationClient> {
  if (connectionString !== null) return new ServiceBusAdministrationClient(connectionString, RETRIES);
  if (namespace === null) throw new TypeError('neither a connection string nor a namespace is set');
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new ServiceBusAdministrationClient(namespace, new DefaultAzureCredential(), RETRIES);
}

/** The first label of the host, which is how the az command line calls a namespace. */
function namespaceOf({ connectionString, namespace }: ServicebusAddress): string {
  const host = namespace ?? /Endpoint=sb:\/\/([^/;:]+)/i.exec(connectionString ?? '')?.[1] ?? 'NAMESPACE';
  return host.split('.')[0] ?? host;
}

const topicEntity = (namespace: string, name: string): Entity<TopicProperties> => ({
  resource: `topic ${name}`,
  settings: topicSettings,
  get: (client) => client.getTopic(name),
  make: (client, values) => client.createTopic(name, values),
  set: async (client, values) => client.updateTopic({ ...(await client.getTopic(name)), ...values }),
  byHand: (verb, settings) => azLine(`topic ${verb}`, { 'namespace-name': namespace, name }, settings),
});

const subscriptionEntity = (
  namespace: string,
  topic: string,
  role: RoleName,
  maxAttempts: number,
): Entity<SubscriptionProperties> => ({
  resource: `subscription ${topic}/${role}`,
  settings: subscriptionSettings(maxAttempts),
  get: (client) => client.getSubscription(topic, role),
  make: (client, values) => client.createSubscription(topic, role, values),
  set: async (client, values) =>
    client.updateSubscription({ ...(await client.getSubscription(topic, role)), ...values }),
  byHand: (verb, settings) =>
    azLine(
      `topic subscription ${verb}`,
      { 'namespace-name': namespace, 'topic-name': topic, name: role },
      settings,
    ),
});

async function checkTopic(
  client: ServiceBusAdministrationClient,
  topic: Entity<TopicProperties>,
): Promise<TopologyItem[]> {
  const found = await find(client, topic);
  const items = compare(topic, found);
  if (found === null) return items;
  const kilobytes = found.maxMessageSizeInKilobytes ?? null;
  items.push({
    resource: topic.resource,
    setting: 'maxMessageSizeInKilobytes',
    expected: `at least ${String(MESSAGE_KILOBYTES_MIN)}`,
    found: kilobytes === null ? 'as the tier has it' : String(kilobytes),
    isRight: (kilobytes ?? MESSAGE_KILOBYTES_MIN) >= MESSAGE_KILOBYTES_MIN,
  });
  return items;
}

/** @returns null when there is none @throws FairtallyError `access_denied` */
async function find<Properties extends object>(
  client: ServiceBusAdministrationClient,
  entity: Entity<Properties>,
): Promise<Properties | null> {
  try {
    return await entity.get(client);
  } catch (error) {
    if (codeOf(error) === 'MessageEntityNotFoundError') return null;
    if (!isDenied(error)) throw new OutageError('Service Bus', error);
    throw new FairtallyError(
      'access_denied',
      `the right to manage (or the role Azure Service Bus Data Owner) is needed to look at ${entity.resource}`,
      false,
      { cause: error },
    );
  }
}

function compare<Properties extends object>(
  { resource, settings }: Entity<Properties>,
  found: Properties | null,
): TopologyItem[] {
  const exists = { resource, setting: 'exists', expected: 'yes' };
  if (found === null) return [{ ...exists, found: null, isRight: false }];
  return [
    { ...exists, found: 'yes', isRight: true },
    ...settings.map((setting) => ({
      resource,
      setting: setting.name,
      expected: String(setting.value),
      found: String(found[setting.name]),
      isRight: isRight(setting, found),
    })),
  ];
}

async function make<Properties extends object>(
  client: ServiceBusAdministrationClient,
  entity: Entity<Properties>,
): Promise<Created> {
  const { resource, settings } = entity;
  let byHand = entity.byHand('create', settings);
  try {
    const found = await find(client, entity);
    if (found === null) {
      await entity.make(client, valuesOf(settings));
      return { resource, result: 'made' };
    }
    const wrong = settings.filter((setting) => !isRight(setting, found));
    if (wrong.length === 0) return { resource, result: 'was_right' };
    const fixed = wrong.filter(({ isFixed }) => isFixed === true);
    if (fixed.length > 0)
      return { resource, result: 'cannot_change', byHand: `drain and delete it, then: ${byHand}` };
    byHand = entity.byHand('update', wrong);
    await entity.set(client, valuesOf(wrong));
    return { resource, result: 'changed' };
  } catch (error) {
    if (error instanceof FairtallyError && error.code === 'access_denied')
      return { resource, result: 'denied', byHand };
    if (isDenied(error)) return { resource, result: 'denied', byHand };
    throw error instanceof OutageError ? error : new OutageError('Service Bus', error);
  }
}

const propertyOf = (error: unknown, name: 'code' | 'statusCode'): unknown =>
  error instanceof Error ? (error as unknown as Record<string, unknown>)[name] : undefined;

const codeOf = (error: unknown): unknown => propertyOf(error, 'code');

const isDenied = (error: unknown): boolean =>
  [401, 403].includes(Number(propertyOf(error, 'statusCode') ?? 0)) && codeOf(error) !== 'QuotaExceededError';
