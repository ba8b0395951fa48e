import { expect, test } from '@jest/globals';
import type { DefinitionVersion, VersionPlan } from '../games/definitions/postgres.js';
import { applyDefinition, planDefinition, type DefinitionDeps } from './definition.js';
import { outputForTest } from './fixtures.js';

const NOW_MS = Date.parse('2026-11-20T12:00:00Z');
const HOUR_MS = 3_600_000;
const PLAN: VersionPlan = { changes: [], refusals: [], against: null, overruled: [] };
const COMMAND = { gameId: 'demo', source: 'events: {}', fileName: 'demo.yaml', by: 'ann' };

function deps(versions: number, plan: Partial<VersionPlan> = {}) {
  const out = outputForTest();
  const seen: number[] = [];
  const whole = { ...PLAN, ...plan };
  const definitions: DefinitionDeps['definitions'] = {
    list: async () => Array.from({ length: versions }, () => ({}) as DefinitionVersion),
    plan: async ({ effectiveFromMs }) => {
      seen.push(effectiveFromMs);
      return whole;
    },
    apply: async ({ effectiveFromMs }) => {
      seen.push(effectiveFromMs);
      return { version: versions + 1, plan: whole };
    },
  };
  return { deps: { definitions, out, clock: { now: () => NOW_MS } }, out, seen };
}

test('a version may not begin in the past, but for the first', async () => {
  const past = { ...COMMAND, effectiveFromMs: NOW_MS - 1 };
  const second = deps(1);
  for (const attempt of [applyDefinition(past, second.deps), planDefinition(past, second.deps)]) {
    await expect(attempt).rejects.toMatchObject({ code: 'definition_in_the_past' });
  }
  expect(second.seen).toEqual([]);
  const first = deps(0);
  await applyDefinition({ ...COMMAND, effectiveFromMs: 0 }, first.deps);
  expect(first.seen).toEqual([0]);
});

test('it holds from now on when no instant is given, and a plan looks at the same instant', async () => {
  const { deps: given, seen } = deps(3);
  await planDefinition({ ...COMMAND, effectiveFromMs: null }, given);
  await applyDefinition({ ...COMMAND, effectiveFromMs: null }, given);
  await planDefinition({ ...COMMAND, effectiveFromMs: NOW_MS + HOUR_MS }, given);
  expect(seen).toEqual([NOW_MS, NOW_MS, NOW_MS + HOUR_MS]);
});

test('it tells which version it compares with, when that one is still to come, and which are overruled', async () => {
  const { deps: given, out } = deps(3, {
    changes: [{ change: 'changed', what: 'game', keys: ['grace'] }],
    against: { version: 2, effectiveFromMs: NOW_MS + HOUR_MS },
    overruled: [{ version: 3, effectiveFromMs: NOW_MS + 3 * HOUR_MS }],
  });
  expect(await planDefinition({ ...COMMAND, effectiveFromMs: NOW_MS + 2 * HOUR_MS }, given)).toBe(0);
  expect(out.lines).toEqual([
    'Against version 2, which is in force from 2026-11-20T13:00:00.000Z until then:',
    '~ game: grace',
    'Version 3, to come at 2026-11-20T15:00:00.000Z, is overruled: it will not be in force.',
  ]);
});
