import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import { ManagementDouble } from '../testkit/servicebus/management.js';
import type { BusOperator } from './operator.js';
import { createServicebusOperator } from './servicebus-operator.js';

const servicebus = {
  connectionString:
    'Endpoint=sb://studio.servicebus.windows.net/;SharedAccessKeyName=manage;SharedAccessKey=c2VjcmV0',
  namespace: null,
};

let management: ManagementDouble;
let operator: BusOperator;

beforeEach(async () => {
  management = await ManagementDouble.start();
  operator = createServicebusOperator({
    servicebus,
    name: 'game-events',
    roles: ['archive', 'fairness'],
    maxAttempts: 5,
    policy: management.policy,
  });
});

afterEach(async () => {
  await operator.close();
  await management.close();
});

const wrong = async (): Promise<string[]> =>
  (await operator.check())
    .filter(({ isRight }) => !isRight)
    .map(({ resource, setting, found }) => `${resource}: ${setting} ${String(found)}`);

test('creating makes the topic and a subscription for each role, all as the check wants them; again it changes nothing', async () => {
  expect(await wrong()).toEqual([
    'topic game-events: exists null',
    'subscription game-events/archive: exists null',
    'subscription game-events/fairness: exists null',
  ]);
  expect((await operator.create()).map(({ result }) => result)).toEqual(['made', 'made', 'made']);
  expect(await wrong()).toEqual([]);
  expect(management.entries.get('game-events')?.settings).toMatchObject({
    RequiresDuplicateDetection: 'true',
    DuplicateDetectionHistoryTimeWindow: 'PT10M',
    DefaultMessageTimeToLive: 'P14D',
  });
  expect(management.entries.get('game-events/Subscriptions/archive')?.settings).toMatchObject({
    RequiresSession: 'true',
    LockDuration: 'PT1M',
    MaxDeliveryCount: '1000',
    DeadLetteringOnMessageExpiration: 'true',
    DefaultMessageTimeToLive: 'P14D',
  });
  expect((await operator.create()).map(({ result }) => result)).toEqual([
    'was_right',
    'was_right',
    'was_right',
  ]);
});

test('what may be set is set, and what serves as well is left', async () => {
  await operator.create();
  management.set('game-events/Subscriptions/archive', { LockDuration: 'PT15S', MaxDeliveryCount: '10' });
  management.set('game-events/Subscriptions/fairness', { MaxDeliveryCount: '50' });
  expect(await wrong()).toEqual([
    'subscription game-events/archive: lockDuration PT15S',
    'subscription game-events/archive: maxDeliveryCount 10',
  ]);
  expect((await operator.create()).map(({ result }) => result)).toEqual([
    'was_right',
    'changed',
    'was_right',
  ]);
  expect(await wrong()).toEqual([]);
});

test('a subscription without sessions cannot be changed: what to do is told', async () => {
  await operator.create();
  management.set('game-events/Subscriptions/archive', { RequiresSession: 'false' });
  const [, archive] = await operator.create();
  expect(archive).toMatchObject({ resource: 'subscription game-events/archive', result: 'cannot_change' });
  expect(archive?.byHand).toContain('az servicebus topic subscription create');
});

test('without the right to manage the command to run by hand is told, and a check says what is needed', async () => {
  management.allows = 'looking';
  const [topic, archive] = await operator.create();
  expect(topic).toEqual({
    resource: 'topic game-events',
    result: 'denied',
    byHand:
      'az servicebus topic create --resource-group RESOURCE_GROUP --namespace-name studio --name game-events' +
      ' --enable-duplicate-detection true --duplicate-detection-history-time-window PT10M --enable-partitioning false' +
      ' --enable-ordering true --default-message-time-to-live P14D --max-size 5120',
  });
  expect(archive?.byHand).toBe(
    'az servicebus topic subscription create --resource-group RESOURCE_GROUP --namespace-name studio' +
      ' --topic-name game-events --name archive --enable-session true --lock-duration PT1M --max-delivery-count 1000' +
      ' --enable-dead-lettering-on-message-expiration true --default-message-time-to-live P14D',
  );
  management.allows = 'nothing';
  await expect(operator.check()).rejects.toMatchObject({ code: 'access_denied' });
  expect((await operator.create()).map(({ result }) => result)).toEqual(['denied', 'denied', 'denied']);
});

test('a namespace that cannot be reached is an outage', async () => {
  const { policy } = management;
  const away = createServicebusOperator({ servicebus, name: 'game-events', maxAttempts: 5, policy });
  await management.close();
  await expect(away.check()).rejects.toBeInstanceOf(OutageError);
  await expect(away.create()).rejects.toBeInstanceOf(OutageError);
  management = await ManagementDouble.start();
});
