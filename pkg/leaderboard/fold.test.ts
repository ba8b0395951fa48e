import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Aggregate, GameDefinition } from '../games/port.js';
import { roleEvent } from '../testkit/admitted-event.js';
import type { RoleEvent } from '../worker/port.js';
import { definitionWith, NOON_MS, testBoard } from './fixtures.js';
import { fold, scoreId, type Score, type StoredScore } from './fold.js';

const AGGREGATES: readonly Aggregate[] = ['sum', 'best', 'min', 'last'];

/** The rows after the batches, without what tells of the batches. */
function rowsAfter(batches: readonly (readonly RoleEvent[])[]): Record<string, Score> {
  const state = new Map<string, StoredScore>();
  for (const batch of batches) {
    for (const { key, row } of fold(state, batch).scores) state.set(scoreId(key), row);
  }
  return Object.fromEntries(
    [...state]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([id, { revision: _, place: __, ...row }]) => [id, row]),
  );
}

interface Sample {
  readonly player: number;
  readonly ts: number;
  readonly value: number;
  readonly version: number;
}

/** Few values, times and players, so that ties are common. */
const samples = fc.array(
  fc.record({
    player: fc.integer({ min: 0, max: 2 }),
    ts: fc.integer({ min: 0, max: 3 }),
    value: fc.integer({ min: -2, max: 2 }),
    version: fc.integer({ min: 1, max: 2 }),
  }),
  { minLength: 1, maxLength: 14 },
);

function eventsOf(definition: GameDefinition, list: readonly Sample[]): RoleEvent[] {
  return list.map(({ player, ts, value, version }, i) =>
    roleEvent(
      { ...definition, version },
      {
        id: `e-${String(i)}`,
        playerId: `p-${String(player)}`,
        tsMs: NOON_MS + ts,
        payload: { deltaXp: value },
      },
    ),
  );
}

const shuffles = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 20, maxLength: 20 });

function shuffled<T>(list: readonly T[], weights: readonly number[]): T[] {
  return list
    .map((item, i) => ({ item, weight: weights[i] ?? 0 }))
    .sort((a, b) => a.weight - b.weight)
    .map(({ item }) => item);
}

function split<T>(list: readonly T[], weights: readonly number[]): T[][] {
  const batches: T[][] = [[]];
  list.forEach((item, i) => {
    if ((weights[i] ?? 0) > 0.5) batches.push([]);
    batches.at(-1)?.push(item);
  });
  return batches;
}

describe.each(AGGREGATES)('aggregate %s', (aggregate) => {
  test('any order and any split into batches give the same rows', () => {
    const definition = definitionWith('demo', testBoard({ aggregate }));
    fc.assert(
      fc.property(samples, shuffles, shuffles, (list, order, cuts) => {
        const events = eventsOf(definition, list);
        expect(rowsAfter(split(shuffled(events, order), cuts))).toEqual(rowsAfter([events]));
      }),
    );
  });
});

const only = (aggregate: Aggregate, ...list: readonly [ts: number, value: number][]): unknown => {
  const definition = definitionWith('demo', testBoard({ aggregate }));
  const all = list.map(([ts, value]) => ({ player: 0, ts, value, version: 1 }));
  const [row] = Object.values(rowsAfter([eventsOf(definition, all)]));
  return row === undefined ? null : [row.score, row.reachedAtMs - NOON_MS];
};

test('a score is reached when its rule says', () => {
  expect(only('best', [3, 7], [1, 7], [2, 5])).toEqual([7, 1]);
  expect(only('min', [3, 5], [1, 7], [2, 5])).toEqual([5, 2]);
  expect(only('last', [3, 5], [1, 7], [2, 9])).toEqual([5, 3]);
  expect(only('sum', [3, 0], [1, 7], [2, 5])).toEqual([12, 2]);
  expect(only('sum', [3, 0], [1, 0])).toEqual([0, 1]);
  expect(only('sum', [1, 5], [2, -5], [3, 0], [0, 0])).toEqual([0, 2]);
});

test('of two last values of one time the greater event id by bytes counts', () => {
  const definition = definitionWith('demo', testBoard({ aggregate: 'last' }));
  const event = (id: string, deltaXp: number): RoleEvent =>
    roleEvent(definition, { id, payload: { deltaXp } });
  const [row] = Object.values(rowsAfter([[event('a', 1), event('b', 2), event('B', 3)]]));
  expect(row?.score).toBe(2);
});

test('an event that changes nothing leaves the revision', () => {
  const definition = definitionWith('demo', testBoard({ aggregate: 'best' }));
  const [high, low] = eventsOf(definition, [
    { player: 0, ts: 0, value: 9, version: 1 },
    { player: 0, ts: 1, value: 3, version: 1 },
  ]) as [RoleEvent, RoleEvent];
  const [first] = fold(new Map(), [high]).scores;
  if (first === undefined) throw new Error('nothing changed');
  expect(first.row.revision).toBe(1);
  expect(fold(new Map([[scoreId(first.key), first.row]]), [low]).scores).toEqual([]);
});

test('a sum that leaves the safe integers is poison', () => {
  const definition = definitionWith('demo', testBoard());
  const event = (id: string): RoleEvent =>
    roleEvent(definition, { id, payload: { deltaXp: Number.MAX_SAFE_INTEGER } });
  expect(() => fold(new Map(), [event('a'), event('b')])).toThrow(
    expect.objectContaining({ code: 'score_overflow' }),
  );
});

test.each([
  ['a text as value', { deltaXp: '12' }],
  ['a fraction as value', { deltaXp: 1.5 }],
  ['null as value', { deltaXp: null }],
  ['a value beyond 2^53', { deltaXp: 2 ** 53 }],
  ['a number with fraction as guild', { deltaXp: 1, guild: 1.5 }],
  ['an empty guild', { deltaXp: 1, guild: '' }],
  ['U+0000 in the guild', { deltaXp: 1, guild: 'a\u0000b' }],
  ['a lone surrogate in the guild', { deltaXp: 1, guild: '\ud800' }],
  ['a guild of 257 bytes', { deltaXp: 1, guild: 'a'.repeat(257) }],
  ['an object as track', { deltaXp: 1, guild: 'a', track: {} }],
])('%s is poison', (_name, payload) => {
  const definition = definitionWith('demo', testBoard({ subjectField: 'guild', partitionField: 'track' }));
  expect(() =>
    fold(new Map(), [roleEvent(definition, { id: 'a', payload: { track: 't', ...payload } })]),
  ).toThrow(expect.objectContaining({ code: 'payload_mismatch' }));
});

test('a payload without the value, the subject, the partition or the filtered field gives nothing', () => {
  const filter = new Map([['mode', ['ranked', 'cup']]]);
  const definition = definitionWith(
    'demo',
    testBoard({ subjectField: 'guild', partitionField: 'track', filter }),
  );
  const whole = { deltaXp: 1, guild: 'g', track: 't', mode: 'cup' };
  const countOf = (payload: Record<string, string | number>): number =>
    fold(new Map(), [roleEvent(definition, { id: 'a', payload })]).scores.length;
  expect(countOf(whole)).toBe(1);
  for (const field of Object.keys(whole)) {
    expect(countOf(Object.fromEntries(Object.entries(whole).filter(([key]) => key !== field)))).toBe(0);
  }
  expect(countOf({ ...whole, mode: 'training' })).toBe(0);
});

test('row 58: events on both sides of a reset count in their own cycles', () => {
  const definition = definitionWith('demo', testBoard());
  const midnightMs = Date.UTC(2026, 10, 21);
  const events = [midnightMs - 1, midnightMs].map((tsMs, i) =>
    roleEvent(definition, { id: `e-${String(i)}`, tsMs }),
  );
  expect(fold(new Map(), events).scores.map(({ key }) => key.cycle)).toEqual([
    'daily:2026-11-20',
    'daily:2026-11-21',
  ]);
});
