import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import { evaluate, plainRule, readSample, seasonReport, shippedRule, type Sample } from './evaluate.js';

let sample: Sample;
beforeAll(() => {
  sample = readSample();
});

test('the shipped rule flags no honest player of the season, and nothing beside the cheating', () => {
  const { honestPlayersFlagged, honestFindings, besideFindings } = evaluate(sample, shippedRule);
  expect({ honestPlayersFlagged, honestFindings, besideFindings }).toEqual({
    honestPlayersFlagged: 0,
    honestFindings: 0,
    besideFindings: 0,
  });
});

test('the shipped rule finds cheaters of every kind that a metric is expected to find, and none of the others', () => {
  const { found } = evaluate(sample, shippedRule);
  const expected = sample.labels.filter((label) => label.expectedMetrics.length > 0);
  expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set(expected.map(({ kind }) => kind)));
  expect(found.every((label) => expected.includes(label))).toBe(true);
});

test('the plain rule flags many honest players, which is why it is not shipped', () => {
  expect(evaluate(sample, plainRule).honestPlayersFlagged).toBeGreaterThan(50);
});

test('docs/fairness.md quotes what the evaluation says today', () => {
  const plain = (text: string): string => text.replace(/ +/g, ' ').replace(/-{3,}/g, '---');
  const docs = plain(readFileSync(new URL('../docs/fairness.md', import.meta.url), 'utf8'));
  for (const table of seasonReport(sample).split('\n\n')) expect(docs).toContain(plain(table.trimEnd()));
});
