import { expect, test } from '@jest/globals';
import type { TruthRebuilt } from '../heal/rebuild.js';
import type { Healed, Verdict } from '../worker/rederive/port.js';
import { outputForTest } from './fixtures.js';
import { rebuildTruthCommand } from './rebuild-truth.js';

const wrong = [{ kind: 'score', what: 'xp daily:2026-11-20', expected: '20 at 1', found: '13 at 1' }];
const healed = (verdict: Verdict): Healed => ({
  gameId: 'demo',
  playerId: 'p-1',
  role: 'leaderboard',
  verdict,
});
const REPAIRED = healed({ kind: 'repaired', wrong, kept: [] });
const WRONG = healed({ kind: 'wrong', wrong, kept: [] });

async function run(isDryRun: boolean, over: Partial<TruthRebuilt>): Promise<{ code: number; text: string }> {
  const out = outputForTest();
  const nothing = { players: 7, repaired: [], stays: [], moving: [], left: [], isCut: false };
  const code = await rebuildTruthCommand(isDryRun, {
    countPlayers: async () => 7,
    rebuild: async () => ({ ...nothing, ...over }),
    out,
  });
  return { code, text: out.text() };
}

test('nothing wrong is one line and no failure', async () => {
  const { code, text } = await run(false, {});
  expect([code, text]).toEqual([
    0,
    '7 players looked at: 0 made again, 0 left as found, 0 in motion to the end.',
  ]);
});

test('what was made again is shown, and is no failure when it is exact', async () => {
  const { code, text } = await run(false, { repaired: [REPAIRED] });
  expect(code).toBe(0);
  expect(text).toMatch(/Made again:[^]*p-1[^]*20 at 1[^]*13 at 1[^]*What was touched is exact now\./);
});

test('a dry run that finds something fails, and says that nothing was changed', async () => {
  const { code, text } = await run(true, { repaired: [WRONG] });
  expect(code).toBe(1);
  expect(text).toMatch(/1 would be made again[^]*Nothing was changed/);
});

test.each<[string, Partial<TruthRebuilt>, RegExp]>([
  ['stays', { stays: [healed({ kind: 'blocked', why: 'event e is archived twice' })] }, /archived twice/],
  ['has no cause', { stays: [healed({ kind: 'exact', kept: wrong })] }, /Stays as it is/],
  ['moves', { moving: [healed({ kind: 'moving' })] }, /The archive is behind/],
  ['is wrong again', { repaired: [REPAIRED], left: [WRONG] }, /is not exact/],
  ['was too much', { isCut: true }, /too much/],
])('what %s is told, and fails', async (_, over, expected) => {
  const { code, text } = await run(false, over);
  expect(code).toBe(1);
  expect(text).toMatch(expected);
});

test('control characters of a player do not reach the terminal', async () => {
  const evil = { ...REPAIRED, playerId: 'p\u001b[2J' };
  expect((await run(false, { repaired: [evil] })).text).not.toContain('\u001b');
});

test('who could not be looked at is named, and fails', async () => {
  const stays = [healed({ kind: 'unread', why: 'the player has more than 200000 events' })];
  const { code, text } = await run(false, { stays });
  expect(code).toBe(1);
  expect(text).toMatch(/p-1[^]*more than 200000 events[^]*1 player could not be looked at/);
});

test('where no person looks, what is quick is told without lines of progress', async () => {
  const out = outputForTest();
  await rebuildTruthCommand(false, {
    countPlayers: async () => 9,
    rebuild: async (onProgress) => {
      for (const players of [3, 6, 9])
        onProgress({ players, repaired: 1, last: { gameId: 'demo', playerId: `p-${String(players)}` } });
      return { players: 9, repaired: [], stays: [], moving: [], left: [], isCut: false };
    },
    out,
  });
  expect(out.text().split('\n')).toEqual([expect.stringMatching(/^9 players looked at:/)]);
});
