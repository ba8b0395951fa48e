import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS, type DeliveryPolicy } from '../pkg/bus/deliver.js';
import { createMemoryBus } from '../pkg/bus/memory.js';
import type { BusOperator } from '../pkg/bus/operator.js';
import type { Bus } from '../pkg/bus/port.js';
import { createPostgresOperator } from '../pkg/bus/postgres-operator.js';
import { createPostgresBus } from '../pkg/bus/postgres.js';
import { holdPublisher, noteInUse, type BusUse } from '../pkg/bus/uses.postgres.js';
import { traceBus } from '../pkg/bus/traced-bus.js';
import { FairtallyError } from '../pkg/kernel/errors.js';
import type { Clock } from '../pkg/kernel/clock.js';
import type { RoleName } from '../pkg/kernel/roles.js';
import type { Database } from '../pkg/postgres/port.js';
import type { Logger } from '../pkg/runtime/port.js';
import type { BusName } from '../pkg/runtime/config-options.js';
import type { BusSettings } from '../pkg/runtime/config.js';
import type { Platform, Process } from './platform.js';

/** What the drivers are made of. */
export interface BusParts {
  readonly settings: BusSettings;
  readonly db: Database;
  readonly databaseUrl: string;
  readonly policy: DeliveryPolicy;
  /** The engine no longer had what a role was to read next. */
  readonly onOffsetReset?: (role: RoleName) => void;
}

/**
 * Chooses the driver that BUS names. The SDK of a broker is loaded by who uses it alone. A new bus is one more case here and
 * below, in the configuration and in pkg/bus.
 */
export async function createBus({
  settings,
  db,
  databaseUrl,
  policy,
  onOffsetReset,
}: BusParts): Promise<Bus> {
  switch (settings.driver) {
    case 'memory':
      return createMemoryBus(policy);
    case 'postgres':
      return createPostgresBus({ ...policy, db, url: databaseUrl });
    case 'kafka': {
      const { createKafkaBus } = await import('../pkg/bus/kafka.js');
      const own = { kafka: settings.kafka, topic: settings.name };
      return createKafkaBus({ ...policy, ...own, ...(onOffsetReset === undefined ? {} : { onOffsetReset }) });
    }
    case 'sqs': {
      const { createSqsBus } = await import('../pkg/bus/sqs.js');
      return createSqsBus({ ...policy, sqs: settings.sqs, name: settings.name });
    }
    case 'servicebus': {
      const { createServicebusBus } = await import('../pkg/bus/servicebus.js');
      return createServicebusBus({ ...policy, servicebus: settings.servicebus, name: settings.name });
    }
  }
}

export interface OperatorParts extends Pick<BusParts, 'settings' | 'db'> {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What an operator does with the bus that BUS names. @throws FairtallyError `memory_bus` */
export async function createOperator({ settings, db, clock, logger }: OperatorParts): Promise<BusOperator> {
  switch (settings.driver) {
    case 'memory':
      throw new FairtallyError('memory_bus', 'BUS=memory lives in the process that uses it');
    case 'postgres':
      return createPostgresOperator({ db });
    case 'kafka': {
      const { createKafkaOperator } = await import('../pkg/bus/kafka-operator.js');
      const { kafka, name } = settings;
      const { partitions, replication } = kafka;
      return createKafkaOperator({ kafka, topic: name, partitions, replication, clock, logger });
    }
    case 'sqs': {
      const { createSqsOperator } = await import('../pkg/bus/sqs-operator.js');
      return createSqsOperator({
        sqs: settings.sqs,
        name: settings.name,
        maxAttempts: DEFAULT_MAX_ATTEMPTS,
      });
    }
    case 'servicebus': {
      const { createServicebusOperator } = await import('../pkg/bus/servicebus-operator.js');
      const { servicebus, name } = settings;
      return createServicebusOperator({ servicebus, name, maxAttempts: DEFAULT_MAX_ATTEMPTS });
    }
  }
}

/** The bus as this installation knows it: postgres has no name of its own. null: nothing is kept on it. */
export function busUse({ driver, name }: BusSettings): BusUse | null {
  if (driver === 'memory') return null;
  return { driver, name: driver === 'postgres' ? '' : name };
}

/** `messaging.system` of the OpenTelemetry semantic conventions. */
const TRACED_AS: Readonly<Record<BusName, string>> = {
  memory: 'memory',
  postgres: 'postgresql',
  kafka: 'kafka',
  sqs: 'aws_sqs',
  servicebus: 'servicebus',
};

/**
 * The bus of a process.
 *
 * @param publishes whether this process is one of those that must have stopped before another bus is used
 * @throws FairtallyError `bus_published`, `events_unread`, `bus_not_drained` when another bus has events, or may get some
 */
export async function openBus(platform: Platform, publishes: 'publishes' | 'reads'): Promise<Bus> {
  const { config, db, databaseUrl, deadLetters, clock, random, logger, metrics, tracer, lifecycle, health } =
    platform;
  const use = busUse(config.bus);
  if (use !== null && publishes === 'publishes') {
    const onRefused = (error: Error): void => lifecycle.fail('another bus is in use', error);
    const hold = await holdPublisher(use, { db, url: databaseUrl, clock, logger, onRefused });
    lifecycle.onStop('publisher', () => hold.close());
  } else await noteInUse(db, use);
  const policy = {
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: DEFAULT_BACKOFF,
    deadLetters,
    clock,
    random,
    logger,
  };
  const resets = metrics.counter(
    'fairtally_offset_resets_total',
    'Times that the bus no longer had what a role was to read next: events may be missing in it',
    ['role'],
  );
  const bus = await createBus({
    settings: config.bus,
    db,
    databaseUrl,
    policy,
    onOffsetReset: (role) => resets.inc({ role }),
  });
  lifecycle.onStop('bus', () => bus.close());
  health.addCheck('bus', () => bus.ping());
  if (tracer === null) return bus;
  const { driver, name } = config.bus;
  return traceBus(bus, tracer, { system: TRACED_AS[driver], destination: name });
}

/** @throws FairtallyError `memory_bus`: two processes cannot share a bus that lives in one */
export function refuseVolatileBus({ config }: Process): void {
  if (config.bus.driver !== 'memory') return;
  throw new FairtallyError('memory_bus', 'BUS=memory lives in one process: use `fairtally run`');
}
