import { expect, test } from '@jest/globals';
import { outputForTest } from './fixtures.js';
import { rebuildViews } from './rebuild.js';

const nothing = { rebuild: async () => 0 };

test('names that fit nothing are told, and fail', async () => {
  const out = outputForTest();
  expect(await rebuildViews({ gameId: 'demo', board: 'nope' }, { view: nothing, out })).toBe(1);
  expect(out.lines).toEqual(['Nothing to build: no cycle of game demo, board nope is known.']);
});

test('an installation without boards yet has nothing to build, which is no failure', async () => {
  const out = outputForTest();
  expect(await rebuildViews({}, { view: nothing, out })).toBe(0);
  expect(out.lines).toEqual(['0 views built, 0 failed.']);
});
