import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parseTimestamp } from '../pkg/contract/timestamp.js';
import { dedupeDayOf, isEventId } from '../pkg/contract/identity.js';
import { CHEAT_KINDS, CHEATS } from './cheaters.js';
import { readSample, type Sample } from './evaluate.js';
import { generateSeason, type SeasonEvent, type Summary } from './season.js';
import { SEASON_ENDS_AT_MS, SEASON_STARTS_AT_MS } from './play.js';

const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');

let sample: Sample;
let summary: Summary;
beforeAll(() => {
  sample = readSample();
  summary = JSON.parse(read('summary.json')) as Summary;
});

test('generating again gives the committed bytes', () => {
  const again = generateSeason();
  expect(again.text === read('season.ndjson')).toBe(true);
  expect(again.labels).toEqual(sample.labels);
  expect(again.summary).toEqual(summary);
});

test('another seed gives another season', () => {
  expect(generateSeason(7).summary.sha256).not.toBe(summary.sha256);
});

describe('the committed season', () => {
  test('holds at least 20,000 events of 500 players over 30 days', () => {
    expect(summary.unique).toBeGreaterThanOrEqual(20_000);
    expect(summary.players).toBe(500);
    expect(summary.firstTsMs).toBeGreaterThanOrEqual(SEASON_STARTS_AT_MS);
    expect(summary.lastTsMs).toBeLessThan(SEASON_ENDS_AT_MS);
    expect(summary.lastTsMs - summary.firstTsMs).toBeGreaterThan(29 * 86_400_000);
  });

  test('has exact duplicates, conflicts and late events as its summary says', () => {
    const firsts = new Map<string, string>();
    const latest = new Map<string, number>();
    const conflicts: { playerId: string; id: string }[] = [];
    let duplicates = 0;
    let outOfOrder = 0;
    for (const line of sample.lines) {
      const { id, playerId, ts } = line;
      const tsMs = parseTimestamp(ts) ?? Number.NaN;
      const identity = JSON.stringify([playerId, dedupeDayOf(id, tsMs), id]);
      const text = JSON.stringify(line);
      const first = firsts.get(identity);
      if (first === text) duplicates += 1;
      else if (first !== undefined) conflicts.push({ playerId, id });
      else firsts.set(identity, text);
      if (first === undefined && tsMs < (latest.get(playerId) ?? 0)) outOfOrder += 1;
      latest.set(playerId, Math.max(latest.get(playerId) ?? 0, tsMs));
    }
    expect(sample.lines).toHaveLength(summary.lines);
    expect(firsts.size).toBe(summary.unique);
    expect(duplicates).toBe(summary.duplicates);
    expect(conflicts).toEqual(summary.conflicts);
    expect(conflicts.length).toBeGreaterThan(0);
    expect(outOfOrder).toBeGreaterThan(100);
  });

  test('is made of events that the sample definition accepts, and of one type that it does not know', () => {
    const shapes = new Set(sample.lines.map((event) => Object.keys(event).join(' ')));
    expect([...shapes]).toEqual(['id type playerId ts payload']);
    const unmapped = new Set<string>();
    for (const event of sample.lines) {
      if (!isEventId(event.id) || parseTimestamp(event.ts) === null) throw new Error(JSON.stringify(event));
      if (Buffer.byteLength(event.playerId) > 128) throw new Error(event.playerId);
      const type = sample.definition.eventTypes.get(event.type);
      if (type === undefined) unmapped.add(event.type);
      else if (type.validate(event.payload) !== null) throw new Error(JSON.stringify(event));
    }
    expect([...unmapped]).toEqual(['photo_taken']);
  });

  test('uses every way to write a time, both kinds of id, odd names and unknown payload keys', () => {
    const has = (probe: (event: SeasonEvent) => boolean): boolean => sample.lines.some(probe);
    expect(has(({ ts }) => typeof ts === 'number' && ts > 1e11)).toBe(true);
    expect(has(({ ts }) => typeof ts === 'number' && ts < 1e11 && !Number.isInteger(ts))).toBe(true);
    expect(has(({ ts }) => typeof ts === 'string' && ts.endsWith('Z'))).toBe(true);
    expect(has(({ ts }) => typeof ts === 'string' && ts.endsWith('+02:00'))).toBe(true);
    expect(has(({ id }) => id.length === 26) && has(({ id }) => id.length === 36)).toBe(true);
    expect(
      has(({ playerId }) => playerId === 'Jos\u00e9') && has(({ playerId }) => playerId === 'Jose\u0301'),
    ).toBe(true);
    expect(has(({ payload }) => 'clientFps' in payload)).toBe(true);
  });

  test('has no id without its day: moved in time, every event stays the same event', () => {
    const moved = sample.lines.filter(({ id, ts }) => {
      const tsMs = parseTimestamp(ts) ?? Number.NaN;
      const day = new Date(tsMs).toISOString().slice(0, 10);
      return dedupeDayOf(id, tsMs) !== day || dedupeDayOf(id, 0) !== day;
    });
    expect(moved).toEqual([]);
  });

  test('labels cheaters of every kind, each with the events that cheat', () => {
    const ids = new Set(sample.lines.map(({ playerId, id }) => JSON.stringify([playerId, id])));
    for (const kind of CHEAT_KINDS) {
      const labels = sample.labels.filter((label) => label.kind === kind);
      expect(labels).toHaveLength(CHEATS[kind].players);
      for (const { playerId, eventIds } of labels) {
        expect(eventIds.length).toBeGreaterThan(2);
        expect(eventIds.every((id) => ids.has(JSON.stringify([playerId, id])))).toBe(true);
      }
    }
    expect(summary.cheaters).toBe(sample.labels.length);
  });

  test('is described by its README with the right numbers', () => {
    const readme = read('README.md');
    const counts = [summary.lines, summary.unique, summary.duplicates, summary.late, summary.cheatedEvents];
    for (const count of [...counts, ...Object.values(summary.byType)]) {
      expect(readme).toContain(count.toLocaleString('en-US'));
    }
  });
});
