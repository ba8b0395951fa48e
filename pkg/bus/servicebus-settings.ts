import type { SubscriptionProperties, TopicProperties } from '@azure/service-bus';

/** One setting of an entity, in the words of the SDK and of the az command line. */
export interface Setting<Entity> {
  readonly name: keyof Entity & string;
  readonly value: string | number | boolean;
  readonly flag: string;
  /** Only what is asked when the entity is made. */
  readonly isFixed?: boolean;
  /** Whether another value serves as well. Default: only the same. */
  readonly serves?: (found: unknown) => boolean;
}

/** A broker gives a message up long after a worker has: at least this many deliveries for each of its attempts. */
const DELIVERIES_PER_ATTEMPT = 10;
/** Every restart and every cut connection uses a delivery up; 2,000 is the most that the service takes. */
const DELIVERY_COUNT_MAX = 1_000;
const KEEP = 'P14D';

export const topicSettings: readonly Setting<TopicProperties>[] = [
  { name: 'requiresDuplicateDetection', value: true, flag: 'enable-duplicate-detection', isFixed: true },
  {
    name: 'duplicateDetectionHistoryTimeWindow',
    value: 'PT10M',
    flag: 'duplicate-detection-history-time-window',
  },
  { name: 'enablePartitioning', value: false, flag: 'enable-partitioning', isFixed: true },
  { name: 'supportOrdering', value: true, flag: 'enable-ordering' },
  { name: 'defaultMessageTimeToLive', value: KEEP, flag: 'default-message-time-to-live' },
  {
    name: 'maxSizeInMegabytes',
    value: 5_120,
    flag: 'max-size',
    serves: (found) => typeof found === 'number' && found >= 1_024,
  },
];

export function subscriptionSettings(maxAttempts: number): readonly Setting<SubscriptionProperties>[] {
  const deliveriesMin = DELIVERIES_PER_ATTEMPT * maxAttempts;
  return [
    { name: 'requiresSession', value: true, flag: 'enable-session', isFixed: true },
    { name: 'lockDuration', value: 'PT1M', flag: 'lock-duration' },
    {
      name: 'maxDeliveryCount',
      value: Math.max(DELIVERY_COUNT_MAX, deliveriesMin),
      flag: 'max-delivery-count',
      serves: (found) => typeof found === 'number' && found >= deliveriesMin,
    },
    {
      name: 'deadLetteringOnMessageExpiration',
      value: true,
      flag: 'enable-dead-lettering-on-message-expiration',
    },
    { name: 'defaultMessageTimeToLive', value: KEEP, flag: 'default-message-time-to-live' },
  ];
}

export const isRight = <Entity>(setting: Setting<Entity>, found: Entity): boolean => {
  const value: unknown = found[setting.name];
  return value === setting.value || setting.serves?.(value) === true;
};

export const valuesOf = <Entity>(settings: readonly Setting<Entity>[]): Record<string, unknown> =>
  Object.fromEntries(settings.map(({ name, value }) => [name, value]));

/** The line for the az command line: `az servicebus <noun> <verb> --name ...`. */
export const azLine = <Entity>(
  command: string,
  names: Readonly<Record<string, string>>,
  settings: readonly Setting<Entity>[],
): string =>
  [
    `az servicebus ${command} --resource-group RESOURCE_GROUP`,
    ...Object.entries(names).map(([flag, value]) => `--${flag} ${value}`),
    ...settings.map(({ flag, value }) => `--${flag} ${String(value)}`),
  ].join(' ');
