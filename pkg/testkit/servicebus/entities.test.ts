import { expect, test } from '@jest/globals';
import { TopicDouble, type SessionLock, type SubscriptionDouble } from './entities.js';

const settings = {
  duplicateWindowMs: 600_000,
  lockDurationMs: 60_000,
  maxDeliveryCount: 2,
  maxMessageBytes: 1_000,
};

function start(): { topic: TopicDouble; archive: SubscriptionDouble } {
  const topic = new TopicDouble(settings, ['archive', 'fairness']);
  return { topic, archive: topic.subscriptions.get('archive')! };
}

const message = (id: string, session = '1'): { message_id: string; group_id: string; body: string } => ({
  message_id: id,
  group_id: session,
  body: id,
});

function accept(subscription: SubscriptionDouble): SessionLock | null {
  let got: SessionLock | null = null;
  const withdraw = subscription.acceptNext((lock) => (got = lock));
  withdraw();
  return got;
}

test('every subscription has its copy, and a repeated MessageId is dropped without a word, in whatever session', () => {
  const { topic, archive } = start();
  topic.publish([message('a'), message('b'), message('a', '2')]);
  topic.publish([message('b')]);
  for (const subscription of topic.subscriptions.values())
    expect(subscription.peek(0, 10).map(({ message: { message_id } }) => message_id)).toEqual(['a', 'b']);
  archive.close();
});

test('a session has one holder, is free again when it is released, and its messages stay in order', () => {
  const { topic, archive } = start();
  topic.publish([message('a'), message('b')]);
  const lock = accept(archive)!;
  expect(accept(archive)).toBeNull();
  expect(archive.acceptNamed('1')).toBeNull();
  const taken = archive.take(lock, 10);
  expect(taken.map(({ message: { message_id } }) => message_id)).toEqual(['a', 'b']);
  expect(archive.settle(lock, taken[0]!.sequence, 'complete')).toBe(true);
  archive.release(lock);
  expect(archive.settle(lock, taken[1]!.sequence, 'complete')).toBe(false);
  const next = accept(archive)!;
  expect(archive.take(next, 10).map(({ deliveryCount }) => deliveryCount)).toEqual([1]);
  archive.close();
});

test('a lock that runs out is told to its holder, and a message delivered too often in vain ends in the dead letters', () => {
  const { topic, archive } = start();
  topic.publish([message('a')]);
  for (let round = 0; round < settings.maxDeliveryCount; round += 1) {
    const lock = accept(archive)!;
    let isLost = false;
    lock.onLost = () => (isLost = true);
    archive.take(lock, 1);
    archive.expireLocks();
    expect(isLost).toBe(true);
    expect(archive.renew(lock)).toBeNull();
  }
  expect(archive.peek(0, 10)).toEqual([]);
  expect(archive.deadLetters.map(({ message: { message_id } }) => message_id)).toEqual(['a']);
  archive.close();
});
