import { beforeAll, describe, expect, test } from '@jest/globals';
import { DROP_GAP, roleEvent } from '../pkg/fairness/fixtures.js';
import { fold, type FairnessChanges } from '../pkg/fairness/fold.js';
import type { GameDefinition } from '../pkg/games/port.js';
import { plainRule, readSample, shippedRule, type Sample } from './evaluate.js';
import { recompute, type StoredOrder } from './recompute.js';
import type { SeasonEvent } from './season.js';

let sample: Sample;
beforeAll(() => {
  sample = readSample();
});

const T0 = Date.UTC(2026, 10, 2, 12);
const line = (
  id: string,
  type: string,
  payload: SeasonEvent['payload'],
  playerId = 'p-1',
  tsMs = T0,
): SeasonEvent => ({
  id,
  type,
  playerId,
  ts: tsMs,
  payload,
});

describe('a handful of events', () => {
  test('are counted once, the first content winning', () => {
    const gain = line('a', 'progression', { deltaXp: 50, activity: 'quest' });
    const changed = line('a', 'progression', { deltaXp: 5_000, activity: 'quest' });
    const { events, progress } = recompute([gain, gain, changed], sample.definition);
    expect(events).toHaveLength(1);
    expect(progress.get('p-1')).toEqual({ totalXp: 50, level: 1 });
  });

  test('under one id on two days are two events', () => {
    const gain = { deltaXp: 50, activity: 'quest' };
    const lines = [line('a', 'progression', gain), line('a', 'progression', gain, 'p-1', T0 + 86_400_000)];
    expect(recompute(lines, sample.definition).progress.get('p-1')?.totalXp).toBe(100);
  });

  test('make boards by cycle and partition, ties going to who was first and then to the smaller name', () => {
    const kill = (id: string, playerId: string, durationMs: number, tsMs: number) =>
      line(id, 'boss_kill', { bossId: 'hydra', durationMs }, playerId, tsMs);
    const { boards } = recompute(
      [
        kill('a', 'p-2', 900, T0),
        kill('b', 'p-1', 900, T0),
        kill('c', 'p-3', 900, T0 - 1),
        kill('d', 'p-1', 950, T0 - 9),
      ],
      sample.definition,
    );
    expect(boards.get('boss-time weekly:2026-W45 hydra')).toEqual([
      { rank: 1, subject: 'p-3', score: 900, reachedAtMs: T0 - 1 },
      { rank: 2, subject: 'p-1', score: 900, reachedAtMs: T0 },
      { rank: 3, subject: 'p-2', score: 900, reachedAtMs: T0 },
    ]);
    expect([...boards.keys()]).toEqual([
      'boss-time weekly:2026-W45 hydra',
      'boss-time seasonal:2026-Q4 hydra',
      'boss-time all-time:all hydra',
    ]);
  });

  test('grant levels, trophies and drops once', () => {
    const drop = { dropId: 'd-1', itemId: 'gem', rarity: 'rare', quantity: 2 };
    const lines = [
      line('a', 'progression', { deltaXp: 900, activity: 'quest' }),
      line('b', 'boss_kill', { bossId: 'hydra', durationMs: 5_000 }),
      line('c', 'boss_kill', { bossId: 'hydra', durationMs: 6_000 }),
      line('d', 'drop_claimed', drop),
      line('e', 'drop_claimed', drop),
    ];
    expect([...(recompute(lines, sample.definition).grants.get('p-1') ?? [])]).toEqual([
      ['level:2:coins', { reward: 'coins', amount: 200 }],
      ['level:3:coins', { reward: 'coins', amount: 300 }],
      ['level:4:coins', { reward: 'coins', amount: 400 }],
      ['boss:hydra:trophy', { reward: 'trophy', amount: 1 }],
      ['drop:d-1', { reward: 'gem', amount: 2 }],
    ]);
  });

  test('follow a stored sample order, which must agree with them', () => {
    const definition = { ...sample.definition, fairness: [DROP_GAP] };
    const at = (id: string, seconds: number) =>
      line(id, 'drop_claimed', { dropId: id }, 'p-1', T0 + 1_000 * seconds);
    const lines = [at('a', 0), at('c', 100), at('b', 60), at('d', 160)];
    const stored = (sampleNo: number, eventId: string, judged: number): StoredOrder => ({
      playerId: 'p-1',
      metric: DROP_GAP.name,
      partition: '',
      sampleNo,
      eventId,
      judged,
    });
    const order = [stored(1, 'b', 60), stored(2, 'c', 40), stored(3, 'd', 60)];
    expect(recompute(lines, definition, order).findings).toEqual([]);
    expect(() => recompute(lines, definition, [stored(1, 'b', 61)])).toThrow('not what its event makes');
    expect(() => recompute(lines, definition, [stored(1, 'b', 60), stored(2, 'c', 100)])).toThrow(
      'not what its event makes',
    );
    expect(() => recompute(lines, definition, [stored(1, 'z', 60)])).toThrow('no cause');
  });
});

describe('the season', () => {
  const rules = [
    ['shipped', shippedRule],
    ['plain', plainRule],
  ] as const;
  const under = (rule: typeof plainRule): GameDefinition => ({
    ...sample.definition,
    fairness: sample.definition.fairness.map(rule),
  });
  const folded = (definition: GameDefinition): FairnessChanges =>
    fold(
      new Map(),
      recompute(sample.lines, definition).events.map(({ id, type, payload, playerId, tsMs }) =>
        roleEvent(id, type, payload, { playerId, tsMs, definition }),
      ),
    );
  const nameOf = (playerId: string, metric: string, eventId: string): string =>
    `${playerId} ${metric} ${eventId}`;

  test.each(rules)('gives the fairness role what plain loops find under the %s rule', (_name, rule) => {
    const twins = new Map(
      recompute(sample.lines, under(rule)).findings.map((f) => [nameOf(f.playerId, f.metric, f.eventId), f]),
    );
    const { findings } = folded(under(rule));
    expect(findings.length).toBeGreaterThan(0);
    expect(findings).toHaveLength(twins.size);
    for (const { key, eventId, mean, deviation, z, sampleNo, value, judged } of findings) {
      const twin = twins.get(nameOf(key.playerId, key.metric, eventId));
      if (twin === undefined) throw new Error(`only the role found ${eventId}`);
      expect([sampleNo, value, judged]).toEqual([twin.sampleNo, twin.value, twin.judged]);
      expect(Math.abs(mean / twin.mean - 1)).toBeLessThan(1e-9);
      expect(Math.abs(deviation / twin.deviation - 1)).toBeLessThan(1e-9);
      expect(Math.abs(z / twin.z - 1)).toBeLessThan(1e-6);
    }
  });

  test('gives plain loops the same findings when they follow the order that the role stored', () => {
    const { events, findings } = recompute(sample.lines, sample.definition);
    const idOf = new Map(
      events.map(({ playerId, id, tsMs }) => [roleEvent(id, '', {}, { playerId, tsMs }).event.identity, id]),
    );
    const order = folded(sample.definition).samples.map(({ key, sampleNo, identity, judged }) => {
      const { playerId, metric, partition } = key;
      return { playerId, metric, partition, sampleNo, eventId: idOf.get(identity) ?? '', judged };
    });
    const sorted = (list: typeof findings) =>
      list.toSorted((a, b) =>
        nameOf(a.playerId, a.metric, a.eventId) < nameOf(b.playerId, b.metric, b.eventId) ? -1 : 1,
      );
    expect(sorted(recompute(sample.lines, sample.definition, order).findings)).toEqual(sorted(findings));
  });

  test('adds up: experience on the all-time board is the experience of progress', () => {
    const { boards, progress } = recompute(sample.lines, sample.definition);
    const board = boards.get('xp all-time:all ') ?? [];
    expect(board).toHaveLength(progress.size);
    for (const { subject, score } of board) expect(progress.get(subject)?.totalXp).toBe(score);
  });
});
