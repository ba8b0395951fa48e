import { expect, test } from '@jest/globals';
import type { FindingItem } from '../fairness/queries.postgres.js';
import { listFindings } from './findings.js';
import { outputForTest } from './fixtures.js';

const FINDING: FindingItem = {
  findingId: 1,
  playerId: 'p-0012',
  metric: 'boss-speed',
  partition: 'hydra',
  eventId: 'e-1',
  tsMs: Date.parse('2026-11-20T12:00:00Z'),
  value: 1200,
  judged: 7.09,
  mean: 12.1234,
  deviation: 0.25,
  z: -20.1336,
  sampleNo: 31,
  definitionVersion: 1,
  foundAtMs: Date.parse('2026-11-20T12:00:01Z'),
};
const QUERY = { gameId: 'demo', limit: 20 };

async function shown(items: FindingItem[], isJson = false): Promise<string> {
  const out = outputForTest();
  expect(await listFindings(QUERY, { findings: async () => ({ items }), isJson, out })).toBe(0);
  return out.text();
}

test('findings are shown with what was judged and against what', async () => {
  expect(await shown([FINDING])).toMatch(
    /2026-11-20T12:00:00.000Z │ p-0012 │ boss-speed hydra │ 1200 +│ 7.09 +│ 12.12 │ 0.25 +│ -20.13 │ 31/,
  );
  expect(await shown([])).toBe('No findings.');
});

test('as JSON they are an array, empty or not', async () => {
  expect(JSON.parse(await shown([FINDING], true))).toEqual([FINDING]);
  expect(await shown([], true)).toBe('[]');
});
