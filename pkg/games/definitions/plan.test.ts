import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseDefinition } from '../definition-file.js';
import type { ReadDefinition } from '../definition-file.js';
import { planDefinition } from './plan.js';

const sample = readFileSync(new URL('../../../sample_events/demo.yaml', import.meta.url), 'utf8');
const parse = (source: string): ReadDefinition => parseDefinition(source, { gameId: 'demo', version: 1 });
const edited = (from: string | RegExp, to: string): ReadDefinition => {
  const source = sample.replace(from, to);
  if (source === sample) throw new Error('the edit changes nothing');
  return parse(source);
};
const before = parse(sample);

describe('the plan of a definition', () => {
  test('adds everything to a game that has none', () => {
    const { changes, refusals } = planDefinition([], before, null);
    expect(refusals).toEqual([]);
    expect(changes.map(({ change, what }) => `${change} ${what}`)).toEqual([
      'added game',
      'added event type progression',
      'added event type boss_kill',
      'added event type drop_claimed',
      'added levels',
      'added reward trophy for boss',
      'added reward {itemId} for drop',
      'added board xp',
      'added board boss-time',
      'added metric xp-gain',
      'added metric boss-speed',
      'added metric drop-interval',
    ]);
  });

  test('is empty when only words of comment differ', () => {
    expect(planDefinition([before], parse(`# another comment\n${sample}`), before)).toEqual({
      changes: [],
      refusals: [],
    });
  });

  test.each([
    ['public: true', 'public: false', 'board xp', ['public']],
    ['divisor: 100 }', 'divisor: 50 }', 'levels', ['curve']],
    ['perLevel: 100', 'perLevel: 101', 'levels', ['rewards']],
    ['max: 100\n', 'max: 50\n', 'levels', ['max', 'curve', 'rewards']],
    ['maximum: 1000000 }', 'maximum: 2000000 }', 'event type progression', ['payload']],
    ['grace: 24h', 'grace: 12h', 'game', ['grace']],
    ['otherwise: 1', 'otherwise: 2', 'reward {itemId} for drop', ['amount']],
    ['maxZ: 7', 'maxZ: 4', 'metric xp-gain', ['maxZ']],
  ])('shows that %j became %j', (from, to, what, keys) => {
    expect(planDefinition([before], edited(from, to), before)).toEqual({
      changes: [{ change: 'changed', what, keys }],
      refusals: [],
    });
  });

  test('shows changes against the version in force, not against a newer one that is still to come', () => {
    const toCome = edited('grace: 24h', 'grace: 12h');
    expect(planDefinition([toCome, before], toCome, before).changes).toEqual([
      { change: 'changed', what: 'game', keys: ['grace'] },
    ]);
    expect(planDefinition([toCome, before], before, before).changes).toEqual([]);
  });

  test('shows what is removed', () => {
    const without = edited(/ {2}boss-time:[^#]*/, '\n');
    expect(planDefinition([before], without, before).changes).toEqual([
      { change: 'removed', what: 'board boss-time', keys: [] },
    ]);
  });

  test.each([
    [
      'aggregate: sum\n    value: deltaXp',
      'aggregate: best\n    value: deltaXp',
      'board xp: aggregate cannot change',
    ],
    ['aggregate: sum\n    value: deltaXp', 'aggregate: sum', 'board xp: value cannot change'],
    ['    partition: bossId\n    windows', '    windows', 'board boss-time: partition cannot change'],
    [
      'aggregate: sum\n    value: deltaXp',
      'aggregate: sum\n    order: asc\n    value: deltaXp',
      'board xp: order cannot change',
    ],
    ['transform: log # gains', 'transform: none # gains', 'metric xp-gain: transform cannot change'],
  ])('refuses what would mix stored scores or samples under one name: %j to %j', (from, to, refusal) => {
    const { refusals } = planDefinition([before], edited(from, to), before);
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toContain(refusal);
    expect(refusals[0]).toContain('give what you want a new name');
  });

  test('remembers a board that was removed for a while', () => {
    const removed = edited(/ {2}boss-time:[^#]*/, '\n');
    const back = edited('aggregate: min', 'aggregate: best');
    expect(planDefinition([removed, before], back, removed).refusals[0]).toContain(
      'board boss-time: aggregate, order cannot change',
    );
  });
});
