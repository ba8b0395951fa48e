import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  QueueDoesNotExist,
  SetQueueAttributesCommand,
  SQSServiceException,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ROLES, type RoleName } from '../kernel/roles.js';
import type { BusOperator, Created, TopologyItem } from './operator.js';
import { collectFromSqs } from './sqs-collect.js';
import { BATCH_BYTES_MAX } from './sqs-message.js';
import { openSqs, type SqsEngine } from './sqs-queue.js';
import { deadQueueSettings, queueNames, queueSettings, type Setting } from './sqs-settings.js';

export interface SqsOperatorOptions {
  readonly sqs: SqsEngine;
  /** The queues are `<name>-<role>.fifo`, each with `<name>-<role>-dead.fifo` behind it. */
  readonly name: string;
  readonly roles?: readonly RoleName[];
  /** Of a delivery inside a worker. SQS gives a message up only long after. */
  readonly maxAttempts: number;
}

interface Found {
  readonly url: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Makes and compares the queues. What a role has read is gone from SQS, so there is no rewind. */
export function createSqsOperator(options: SqsOperatorOptions): BusOperator {
  const client = openSqs(options.sqs);
  const names = (options.roles ?? ROLES).map((role) => queueNames(options.name, role));
  const settingsOf = (deadArn: string): readonly Setting[] => queueSettings(deadArn, options.maxAttempts);
  return {
    check: async () => {
      const pairs = await Promise.all(
        names.map(async ({ queue, dead }) => {
          const foundDead = await find(client, dead);
          const settings = settingsOf(foundDead?.attributes['QueueArn'] ?? `the ARN of ${dead}`);
          return [
            ...compare(queue, settings, await find(client, queue)),
            ...compare(dead, deadQueueSettings(), foundDead),
            ...(foundDead === null ? [] : [emptiness(dead, foundDead)]),
          ];
        }),
      );
      return pairs.flat();
    },
    create: async () => {
      const pairs = await Promise.all(
        names.map(async ({ queue, dead }) => {
          const madeDead = await make(client, dead, deadQueueSettings());
          return [madeDead, await make(client, queue, settingsOf(await arnOf(client, dead)))];
        }),
      );
      return pairs.flat();
    },
    collect: (sink, roles) => collectFromSqs(client, options.name, sink, roles),
    close: async () => client.destroy(),
  };
}

/** @returns null when there is no such queue @throws FairtallyError `access_denied` */
async function find(client: SQSClient, name: string): Promise<Found | null> {
  try {
    const { QueueUrl: url = '' } = await client.send(new GetQueueUrlCommand({ QueueName: name }));
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['All'] });
    const { Attributes: attributes = {} } = await client.send(command);
    return { url, attributes };
  } catch (error) {
    if (error instanceof QueueDoesNotExist) return null;
    if (!isDenied(error)) throw new OutageError('SQS', error);
    throw new FairtallyError(
      'access_denied',
      `sqs:GetQueueUrl and sqs:GetQueueAttributes are needed to look at ${name}`,
      false,
      { cause: error },
    );
  }
}

function compare(name: string, settings: readonly Setting[], found: Found | null): TopologyItem[] {
  const resource = `queue ${name}`;
  const exists = { resource, setting: 'exists', expected: 'yes' };
  if (found === null) return [{ ...exists, found: null, isRight: false }];
  const size = found.attributes['MaximumMessageSize'] ?? null;
  return [
    { ...exists, found: 'yes', isRight: true },
    ...settings.map(({ attribute, value, isRight }) => {
      const has = found.attributes[attribute] ?? null;
      return { resource, setting: attribute, expected: value, found: has, isRight: isRight(has) };
    }),
    {
      resource,
      setting: 'MaximumMessageSize',
      expected: `at least ${String(BATCH_BYTES_MAX)}`,
      found: size,
      isRight: Number(size) >= BATCH_BYTES_MAX,
    },
  ];
}

/** What SQS itself gave up: in no table of ours, and nobody reads it. */
function emptiness(name: string, { attributes }: Found): TopologyItem {
  const found = attributes['ApproximateNumberOfMessages'] ?? '0';
  return { resource: `queue ${name}`, setting: 'messages', expected: '0', found, isRight: found === '0' };
}

async function make(client: SQSClient, name: string, settings: readonly Setting[]): Promise<Created> {
  const resource = `queue ${name}`;
  let found: Found | null = null;
  let wrong = settings;
  try {
    found = await find(client, name);
    if (found === null) {
      const command = new CreateQueueCommand({ QueueName: name, Attributes: attributesOf(settings) });
      await client.send(command);
      return { resource, result: 'made' };
    }
    const { url, attributes } = found;
    wrong = settings.filter(({ attribute, isRight }) => !isRight(attributes[attribute] ?? null));
    if (wrong.length === 0) return { resource, result: 'was_right' };
    await client.send(new SetQueueAttributesCommand({ QueueUrl: url, Attributes: attributesOf(wrong) }));
    return { resource, result: 'changed' };
  } catch (error) {
    if (isDenied(error))
      return { resource, result: 'denied', byHand: byHand(name, found?.url ?? null, wrong) };
    if (error instanceof OutageError) throw error;
    if (isWrong(error))
      return { resource, result: 'cannot_change', byHand: `${error.name}: ${error.message}` };
    throw new OutageError('SQS', error);
  }
}

/** Of a queue that nobody here may look at: its name in the account that the operator fills in. */
async function arnOf(client: SQSClient, name: string): Promise<string> {
  const region = await client.config.region();
  const unknown = `arn:aws:sqs:${region}:ACCOUNT:${name}`;
  try {
    return (await find(client, name))?.attributes['QueueArn'] ?? unknown;
  } catch (error) {
    if (isDenied(error)) return unknown;
    throw error;
  }
}

const attributesOf = (settings: readonly Setting[]): Record<string, string> =>
  Object.fromEntries(settings.map(({ attribute, value }) => [attribute, value]));

/** The command line of AWS that does what was refused here. */
function byHand(name: string, url: string | null, settings: readonly Setting[]): string {
  const attributes = `--attributes '${JSON.stringify(attributesOf(settings))}'`;
  return url === null
    ? `aws sqs create-queue --queue-name ${name} ${attributes}`
    : `aws sqs set-queue-attributes --queue-url ${url} ${attributes}`;
}

const DENIED = new Set(['AccessDenied', 'AccessDeniedException', 'InvalidSecurity']);

function isDenied(error: unknown): boolean {
  if (error instanceof FairtallyError) return error.code === 'access_denied';
  return error instanceof SQSServiceException && DENIED.has(error.name);
}

/** SQS said no to the request itself, not to the moment. */
const isWrong = (error: unknown): error is SQSServiceException =>
  error instanceof SQSServiceException && error.$fault === 'client' && !/throttl/i.test(error.name);
