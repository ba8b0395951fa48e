import { expect, test } from '@jest/globals';
import type { JsonObject } from '../contract/event.js';
import { roleEvent, TEST_TS_MS } from '../testkit/admitted-event.js';
import { testDefinition } from '../testkit/definition.js';
import type { RoleEvent } from '../worker/port.js';
import { foldArchive, playerRef, type Profile } from './fold.js';

const definition = testDefinition();
const unseen: Profile = { gameId: 'demo', playerId: 'p-1', firstSeenMs: 0, lastSeenMs: 0, events: 0 };
const fold = (events: readonly RoleEvent[], profile = unseen): ReturnType<typeof foldArchive> =>
  foldArchive(new Map([[playerRef(profile), profile]]), events);
const withPayload = (payload: JsonObject): RoleEvent => roleEvent(definition, { id: 'a', payload });

test('a profile holds the first and last event time and the number of events', () => {
  const at = (id: string, tsMs: number): RoleEvent => roleEvent(definition, { id, tsMs });
  const first = fold([at('a', TEST_TS_MS), at('b', TEST_TS_MS - 7)]).profiles.get(playerRef(unseen));
  expect(first).toEqual({ ...unseen, firstSeenMs: TEST_TS_MS - 7, lastSeenMs: TEST_TS_MS, events: 2 });
  const second = fold([at('c', TEST_TS_MS + 9)], first).profiles.get(playerRef(unseen));
  expect(second).toMatchObject({ firstSeenMs: TEST_TS_MS - 7, lastSeenMs: TEST_TS_MS + 9, events: 3 });
});

test('an event that the definition did not know is kept and marked', () => {
  const strange = roleEvent(definition, { id: 'a', mapped: false, context: { build: '1.2' } });
  expect(fold([strange]).events[0]?.context).toBe('{"build":"1.2","mapped":false}');
  expect(fold([withPayload({})]).events[0]?.context).toBeNull();
});

test('text that PostgreSQL cannot hold is poison, in values, keys and deep inside', () => {
  for (const payload of [{ a: '\u0000' }, { 'k\u0000': 1 }, { a: [{ b: 'x\ud800y' }] }, { a: '\udc00' }]) {
    expect(() => fold([withPayload(payload)])).toThrow(
      expect.objectContaining({ name: 'PoisonError', code: 'unstorable_text' }),
    );
  }
});

test('text that only looks like such an escape is kept', () => {
  const payload = { path: 'C:\\u0000', pair: '\u{1f600}', odd: '\\ud800' };
  expect(fold([withPayload(payload)]).events[0]?.payload).toBe(JSON.stringify(payload));
});
