import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SetQueueAttributesCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { OutageError } from '../kernel/errors.js';
import { message } from '../testkit/bus-bench.js';
import { startSqsEndpoint, type ServiceError, type SqsEndpoint } from '../testkit/sqs-endpoint.js';
import type { BusOperator } from './operator.js';
import { createSqsOperator } from './sqs-operator.js';
import type { DeadLetterSink } from './port.js';
import { toWire } from './sqs-message.js';
import { openSqs, SqsQueue } from './sqs-queue.js';

const DENIED: ServiceError = { __type: 'com.amazon.coral.service#AccessDeniedException', status: 400 };
const denied = (): ServiceError => DENIED;

let endpoint: SqsEndpoint;
let operator: BusOperator;

beforeEach(async () => {
  endpoint = await startSqsEndpoint();
  operator = createSqsOperator({ sqs: endpoint.client, name: 'game-events', maxAttempts: 5 });
});
afterEach(async () => {
  await operator.close();
  await endpoint.close();
});

/** What somebody did to a queue by hand. */
async function setByHand(queue: string, Attributes: Record<string, string>): Promise<void> {
  const client = openSqs(endpoint.client);
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: queue }));
  await client.send(new SetQueueAttributesCommand({ QueueUrl, Attributes }));
  client.destroy();
}

const wrong = async (): Promise<unknown[]> =>
  (await operator.check())
    .filter(({ isRight }) => !isRight)
    .map(({ resource, setting, found }) => [resource, setting, found]);

test('where nothing is, the check names every queue; after create all is right, and a second create changes nothing', async () => {
  const missing = await operator.check();
  expect(missing).toHaveLength(8);
  expect(missing[0]).toEqual({
    resource: 'queue game-events-archive.fifo',
    setting: 'exists',
    expected: 'yes',
    found: null,
    isRight: false,
  });
  const made = await operator.create();
  expect(made.map(({ resource }) => resource).slice(0, 2)).toEqual([
    'queue game-events-archive-dead.fifo',
    'queue game-events-archive.fifo',
  ]);
  expect(new Set(made.map(({ result }) => result))).toEqual(new Set(['made']));
  expect(await wrong()).toEqual([]);
  expect(new Set((await operator.create()).map(({ result }) => result))).toEqual(new Set(['was_right']));
});

test('the broker gives a message up to its dead letter queue only long after a worker would', async () => {
  await operator.create();
  const items = await operator.check();
  const redrive = items.find(
    ({ resource, setting }) => resource.endsWith('-archive.fifo') && setting === 'RedrivePolicy',
  );
  const policy = JSON.parse(redrive?.found ?? '{}') as {
    maxReceiveCount: number;
    deadLetterTargetArn: string;
  };
  expect(policy.maxReceiveCount).toBeGreaterThanOrEqual(50);
  expect(policy.deadLetterTargetArn).toMatch(/:game-events-archive-dead\.fifo$/);
});

test('a setting that differs is named by the check and put right by create', async () => {
  await operator.create();
  await setByHand('game-events-fairness.fifo', {
    VisibilityTimeout: '5',
    FifoThroughputLimit: 'perQueue',
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: 'arn:of:another', maxReceiveCount: 3 }),
  });
  const resource = 'queue game-events-fairness.fifo';
  expect(await wrong()).toEqual([
    [resource, 'FifoThroughputLimit', 'perQueue'],
    [resource, 'VisibilityTimeout', '5'],
    [resource, 'RedrivePolicy', expect.stringContaining('arn:of:another')],
  ]);
  const changed = (await operator.create()).filter(({ result }) => result !== 'was_right');
  expect(changed).toEqual([{ resource, result: 'changed' }]);
  expect(await wrong()).toEqual([]);
});

test('without the rights it says which command to run by hand', async () => {
  endpoint.before('CreateQueue', denied);
  const made = await operator.create();
  expect(made).toHaveLength(8);
  expect(new Set(made.map(({ result }) => result))).toEqual(new Set(['denied']));
  expect(made[1]?.byHand).toMatch(
    /^aws sqs create-queue --queue-name game-events-archive\.fifo --attributes '\{"FifoQueue":"true",.*'$/,
  );
  expect(made[1]?.byHand).toContain('arn:aws:sqs:eu-test-1:ACCOUNT:game-events-archive-dead.fifo');
});

test('without the right to change, the command sets what differs, and only that', async () => {
  await operator.create();
  await setByHand('game-events-archive.fifo', { VisibilityTimeout: '5' });
  endpoint.before('SetQueueAttributes', denied);
  const [left] = (await operator.create()).filter(({ result }) => result !== 'was_right');
  expect(left).toMatchObject({ resource: 'queue game-events-archive.fifo', result: 'denied' });
  expect(left?.byHand).toMatch(
    /^aws sqs set-queue-attributes --queue-url http\S+ --attributes '\{"VisibilityTimeout":"30"\}'$/,
  );
});

test('what SQS refuses to make is told in its own words', async () => {
  endpoint.before('CreateQueue', () => ({ __type: 'com.amazonaws.sqs#QueueDeletedRecently', status: 400 }));
  const [first] = await operator.create();
  expect(first).toMatchObject({
    result: 'cannot_change',
    byHand: expect.stringMatching('QueueDeletedRecently'),
  });
});

test('without the right to look, the check says what it needs', async () => {
  endpoint.before('GetQueueUrl', denied);
  await expect(operator.check()).rejects.toMatchObject({ code: 'access_denied' });
});

test('an endpoint that is away is an outage', async () => {
  await endpoint.close();
  await expect(operator.check()).rejects.toBeInstanceOf(OutageError);
  await expect(operator.create()).rejects.toBeInstanceOf(OutageError);
});

test('what SQS gave up differs from what should be there, and is brought into the dead letters once', async () => {
  await operator.create();
  const client = openSqs(endpoint.client);
  const dead = new SqsQueue(client, 'game-events-progression-dead.fifo');
  const failed = await dead.send([toWire(message('given up'))]);
  expect(failed).toEqual([]);
  client.destroy();
  expect(await wrong()).toEqual([['queue game-events-progression-dead.fifo', 'messages', '1']]);
  const letters: string[] = [];
  const sink: DeadLetterSink = {
    put: async (role, { body, gameId }, reason) => void letters.push([role, gameId, body, reason].join(' ')),
  };
  expect(await operator.collect?.(sink, ['archive', 'progression'])).toEqual([
    { role: 'archive', messages: 0 },
    { role: 'progression', messages: 1 },
  ]);
  expect(letters).toEqual([`progression ${message('').gameId} given up broker_gave_up`]);
  expect(await wrong()).toEqual([]);
});
