import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { applyToArchive, playedEvents, prepareGame } from '../../audit/fixtures.js';
import { encodeEvent, type AdmittedEvent } from '../../contract/event.js';
import { contentHashOf } from '../../contract/identity.js';
import { admittedEvent } from '../../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { readEvent } from '../read-event.js';
import { admittedEventOf } from './archived-event.js';
import { databaseNow, lackingOf } from './postgres.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await prepareGame(database.db);
});
afterAll(() => database.close());

async function fromArchive(): Promise<Map<string, AdmittedEvent>> {
  const toMs = await databaseNow(database.db);
  const rows = await lackingOf(database.db, { role: 'fairness', fromMs: 0, toMs }, 1_000);
  return new Map(rows.map((row) => [row.id, readEvent(encodeEvent(admittedEventOf(row)))]));
}

test('an event that was archived is put together again exactly as it was admitted', async () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const events = [
    ...playedEvents(),
    admittedEvent({
      id: 'odd',
      playerId: 'Zoë "\\\n\u{1f3ae}',
      payload: { text: '"\\\u2028\uffff', a: [1, { b: null }] },
    }),
    admittedEvent({
      id: 'numbers',
      payload: {
        n: [1e21, 1e-7, 0.1, 5e-324, 1.7976931348623157e308, -9007199254740991, 9007199254740991, 0],
      },
    }),
    admittedEvent({ id: 'keys', payload: { z: 1, a: { '10': 1, '9': 2, ä: true } } }),
    admittedEvent({ id: 'versioned', schemaVersion: 7, definitionVersion: 2, src: 'client', keyId: 'k-2' }),
    admittedEvent({
      id: 'late',
      context: {
        build: '1"2',
        platform: 'ios',
        sessionId: 's',
        sentAtMs: 1,
        traceparent,
        late: true,
        replay: true,
      },
    }),
    admittedEvent({ id: 'future', context: { future: true } }),
    admittedEvent({ id: 'unmapped', type: 'nobody_knows', mapped: false, context: { build: '3' } }),
    admittedEvent({ id: 'unmapped-bare', type: 'nobody_knows', mapped: false }),
    admittedEvent({ id: 'correction', context: { corrects: 'e-1' } }),
    admittedEvent({ id: '01a1f8d3-eafa-7def-8abc-0123456789ab', payload: {} }),
  ];
  await applyToArchive(database.db, events);
  const found = await fromArchive();
  expect(found.size).toBe(events.length);
  for (const event of events) {
    expect(found.get(event.id)).toEqual(event);
    expect(contentHashOf(found.get(event.id)!)).toBe(event.contentHash);
  }
});
