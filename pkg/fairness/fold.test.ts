import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { RoleEvent } from '../worker/port.js';
import { ALL, definitionWith, DROP_GAP, dropAt, KILL_TIME, progression, roleEvent, XP } from './fixtures.js';
import {
  fold,
  seriesId,
  seriesOf,
  type Baseline,
  type FairnessChanges,
  type Finding,
  type Sample,
} from './fold.js';
import { rerun, type RerunFinding } from './rerun.js';
import { fairnessRole } from './role.js';

/** Folds batch after batch as the database would: each sees the baselines that the one before left. */
function foldInBatches(batches: readonly (readonly RoleEvent[])[]) {
  const baselines = new Map<string, Baseline>();
  const samples: Sample[] = [];
  const findings: Finding[] = [];
  for (const batch of batches) {
    const changes = fold(baselines, batch);
    for (const [id, { baseline }] of changes.baselines) baselines.set(id, baseline);
    samples.push(...changes.samples);
    findings.push(...changes.findings);
  }
  return { baselines, samples, findings };
}

const foldAll = (events: readonly RoleEvent[]): FairnessChanges => fold(new Map(), events);
const numbered = (values: readonly number[]): RoleEvent[] =>
  values.map((xp, i) => progression(`e-${String(i)}`, xp));

const anySeason = fc
  .array(
    fc.record({
      type: fc.constantFrom('progression', 'boss_kill', 'drop_claimed', 'other'),
      playerId: fc.constantFrom('p-1', 'p-2'),
      bossId: fc.constantFrom('hydra', 'wyrm', 7, null),
      value: fc.oneof(
        { weight: 5, arbitrary: fc.integer({ min: 90, max: 110 }) },
        fc.integer({ min: 0, max: 1_000_000 }),
      ),
      tsMs: fc.integer({ min: 1_792_454_400_000, max: 1_792_454_500_000 }),
    }),
    { maxLength: 120 },
  )
  .map((list) =>
    list.map(({ type, playerId, bossId, value, tsMs }, i) =>
      roleEvent(`e-${String(i)}`, type, { deltaXp: value, durationMs: value, bossId }, { playerId, tsMs }),
    ),
  );

const evidence = ({ sampleNo, judged, mean, deviation, z }: RerunFinding) => [
  sampleNo,
  judged,
  mean,
  deviation,
  z,
];

describe('batches', () => {
  test('splitting a sequence into batches anywhere changes nothing, bit for bit', () => {
    fc.assert(
      fc.property(anySeason, fc.array(fc.nat(120), { maxLength: 8 }), (events, cuts) => {
        const edges = [0, ...cuts.filter((cut) => cut < events.length).sort((a, b) => a - b), events.length];
        const batches = edges.slice(1).map((edge, i) => events.slice(edges[i], edge));
        const whole = foldInBatches([events]);
        const split = foldInBatches(batches);
        expect(split.samples).toEqual(whole.samples);
        expect(split.findings).toEqual(whole.findings);
        expect(split.baselines).toEqual(whole.baselines);
      }),
    );
  });

  test('running again in the stored sample order gives the same findings, bit for bit', () => {
    fc.assert(
      fc.property(anySeason, (events) => {
        const { samples, findings } = foldAll(events);
        for (const id of new Set(samples.map(({ key }) => seriesId(key)))) {
          const series = samples.filter(({ key }) => seriesId(key) === id);
          const stored = findings.filter(({ key }) => seriesId(key) === id);
          const metric = ALL.fairness.find(({ name }) => name === series[0]?.key.metric) ?? null;
          expect(rerun(series, () => metric).map(evidence)).toEqual(stored.map(evidence));
        }
      }),
    );
  });

  test('a gap in the stored samples is refused, not judged', () => {
    const first = { sampleNo: 2, judged: 5, definitionVersion: 1 };
    expect(() => rerun([first], () => XP)).toThrow(RangeError);
  });

  test('the state given is not changed', () => {
    const state: ReadonlyMap<string, Baseline> = Object.freeze(new Map());
    fold(state, numbered([1, 2, 3]));
    expect(state.size).toBe(0);
  });
});

describe('a value', () => {
  const steady = [100, 110, 90, 105, 95, 100, 110, 90, 105, 95];

  test('is judged against the samples before it and then added, also when suspicious', () => {
    const { findings, samples, baselines } = foldAll(numbered([...steady, 5_000, 100]));
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({
      eventId: 'e-10',
      value: 5_000,
      judged: 5_000,
      mean: 100,
      sampleNo: 11,
    });
    expect(findings[0]?.z).toBeCloseTo((5_000 - 100) / Math.sqrt(500 / 9), 9);
    expect(samples).toHaveLength(12);
    expect([...baselines.values()][0]?.baseline.mean).toBeCloseTo(6_100 / 12, 9);
  });

  test('under the plain rule needs ten samples before it', () => {
    expect(foldAll(numbered([...steady.slice(1), 5_000])).findings).toHaveLength(0);
  });

  test('row 73: after constant samples is not judged, but added', () => {
    const { findings, samples } = foldAll(numbered([...Array<number>(15).fill(100), 1_000_000, 100]));
    expect(findings).toHaveLength(0);
    expect(samples).toHaveLength(17);
  });

  test('row 73: that is not finite, or overflows its baseline, is poison and never passes as fine', () => {
    expect(() => foldAll(numbered([Number.POSITIVE_INFINITY]))).toThrow('not a finite number');
    expect(() => foldAll(numbered([Number.NaN]))).toThrow('not a finite number');
    expect(() => foldAll(numbered([1e200, -1e200]))).toThrow('overflows');
  });

  test('that is absent or no number feeds nothing', () => {
    const events = [roleEvent('a', 'progression', {}), roleEvent('b', 'progression', { deltaXp: '12' })];
    expect(foldAll(events)).toEqual({ baselines: new Map(), samples: [], findings: [] });
    expect(seriesOf(events)).toEqual([]);
  });

  test('of another player, game or partition is another series', () => {
    const kill = (id: string, bossId: string | null) =>
      roleEvent(id, 'boss_kill', { bossId, durationMs: 1_000 });
    const { samples } = foldAll([kill('a', 'hydra'), kill('b', 'wyrm'), kill('c', 'hydra'), kill('d', null)]);
    expect(samples.map(({ key, sampleNo }) => [key.partition, sampleNo])).toEqual([
      ['hydra', 1],
      ['wyrm', 1],
      ['hydra', 2],
    ]);
  });

  test('with a partition too long for a key is poison', () => {
    expect(() => foldAll([roleEvent('a', 'boss_kill', { bossId: 'x'.repeat(513), durationMs: 1 })])).toThrow(
      '512 bytes',
    );
  });

  test('of a metric with the log transform is judged by its logarithm and shown as sent', () => {
    const durations = [60_000, 70_000, 50_000, 65_000, 1];
    const { findings } = foldAll(
      durations.map((durationMs, i) =>
        roleEvent(`k-${String(i)}`, 'boss_kill', { bossId: 'hydra', durationMs }),
      ),
    );
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({
      value: 1,
      judged: Math.log1p(1),
      key: { metric: KILL_TIME.name, partition: 'hydra' },
    });
  });
});

describe('the time between events', () => {
  const start = 1_792_454_400_000;

  test('starts with the second event and counts seconds', () => {
    const { samples } = foldAll([
      dropAt('a', start),
      dropAt('b', start + 1_500),
      dropAt('c', start + 61_500),
    ]);
    expect(samples.map(({ sampleNo, judged }) => [sampleNo, judged])).toEqual([
      [1, 1.5],
      [2, 60],
    ]);
  });

  test('ignores an event that is not later, which does not move the clock back', () => {
    const events = [
      dropAt('a', start),
      dropAt('late', start - 5_000),
      dropAt('same', start),
      dropAt('b', start + 10_000),
    ];
    const { samples, baselines } = foldAll(events);
    expect(samples.map(({ judged }) => judged)).toEqual([10]);
    expect([...baselines.values()][0]?.baseline.lastTsMs).toBe(start + 10_000);
  });

  test('is a finding when it is short', () => {
    const gaps = [0, 60, 70, 50, 65, 55, 0.2];
    let at = start;
    const events = gaps.map((seconds, i) => dropAt(`d-${String(i)}`, (at += seconds * 1_000)));
    const { findings } = foldAll(events);
    expect(findings.map(({ eventId, value }) => [eventId, value])).toEqual([['d-6', 0.2]]);
    expect(findings[0]?.key.metric).toBe(DROP_GAP.name);
  });
});

test('the role takes the types that a metric reads, and only when the definition knows them', () => {
  const definition = definitionWith(XP);
  expect(fairnessRole.takes(definition, 'progression', true)).toBe(true);
  expect(fairnessRole.takes(definition, 'progression', false)).toBe(false);
  expect(fairnessRole.takes(definition, 'boss_kill', true)).toBe(false);
});
