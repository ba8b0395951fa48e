import { describe, expect, test } from '@jest/globals';
import type { Healed, Verdict } from '../worker/rederive/port.js';
import { rebuildTruth, type TruthProgress, type TruthRebuildParts, type TruthScope } from './rebuild.js';

const wrong = [{ kind: 'score', what: 'xp', expected: '2', found: '1' }];
const EVERYBODY: TruthScope = { rows: 'all', gameId: null, playerId: null, after: '', isDryRun: false };
const names = (count: number): string[] =>
  Array.from({ length: count }, (_, n) => `p-${String(n).padStart(4, '0')}`);

/** A world of one game in which each player gets the verdicts of its list, one after the other, then none. */
function worldOf(players: readonly string[], verdicts: Record<string, Verdict[]> = {}) {
  const asked: string[][] = [];
  const dry: boolean[] = [];
  const progress: TruthProgress[] = [];
  const parts: TruthRebuildParts = {
    playersAfter: async ({ playerId }, limit) =>
      players
        .filter((player) => player > playerId)
        .slice(0, limit)
        .map((player) => ({ gameId: 'demo', playerId: player })),
    heal: async (gameId, some, isDryRun) => {
      asked.push([...some]);
      dry.push(isDryRun);
      return some.flatMap((playerId): Healed[] => {
        const verdict = verdicts[playerId]?.shift();
        return verdict === undefined ? [] : [{ gameId, playerId, role: 'leaderboard', verdict }];
      });
    },
    healShared: async () => ({ healed: [], left: [], isCut: false }),
    clock: { sleep: async () => undefined },
    onProgress: (one) => void progress.push(one),
  };
  return { parts, asked, dry, progress };
}

test('every player is looked at once, page by page, and the progress tells where it is', async () => {
  const { parts, asked, progress } = worldOf(names(450));
  const result = await rebuildTruth(EVERYBODY, parts);
  expect(asked.map((page) => page.length)).toEqual([200, 200, 50]);
  expect(progress.map(({ players, last }) => [players, last?.playerId])).toEqual([
    [200, 'p-0199'],
    [400, 'p-0399'],
    [450, 'p-0449'],
  ]);
  expect(result).toEqual({ players: 450, repaired: [], stays: [], moving: [], left: [], isCut: false });
});

test('an interrupted run goes on after the player it had reached', async () => {
  const { parts, asked } = worldOf(names(10));
  await rebuildTruth({ ...EVERYBODY, gameId: 'demo', after: 'p-0007' }, parts);
  expect(asked).toEqual([['p-0008', 'p-0009']]);
});

test('one player is looked at whether or not anybody knows of them', async () => {
  const { parts, asked } = worldOf([]);
  expect((await rebuildTruth({ ...EVERYBODY, gameId: 'demo', playerId: 'x' }, parts)).players).toBe(1);
  expect(asked).toEqual([['x']]);
});

describe('those in motion are looked at again, and', () => {
  const moving: Verdict = { kind: 'moving' };
  test('count as what they turn out to be', async () => {
    const { parts, asked } = worldOf(['a', 'b'], {
      b: [moving, moving, { kind: 'repaired', wrong, kept: [] }],
    });
    const result = await rebuildTruth(EVERYBODY, parts);
    expect(asked).toEqual([['a', 'b'], ['b'], ['b'], ['b']]); // the last look is at what was touched
    expect(result).toMatchObject({ moving: [], repaired: [{ playerId: 'b' }], left: [] });
  });

  test('are told when they never come to rest', async () => {
    const { parts, asked } = worldOf(['a'], { a: Array.from({ length: 50 }, () => moving) });
    expect(await rebuildTruth(EVERYBODY, parts)).toMatchObject({ moving: [{ playerId: 'a' }], repaired: [] });
    expect(asked).toHaveLength(11);
  });
});

test('what was touched is looked at again without changing it, and what is still wrong is told', async () => {
  const { parts, dry } = worldOf(['a'], {
    a: [
      { kind: 'repaired', wrong, kept: [] },
      { kind: 'wrong', wrong, kept: [] },
    ],
  });
  expect(await rebuildTruth(EVERYBODY, parts)).toMatchObject({ left: [{ playerId: 'a' }] });
  expect(dry).toEqual([false, true]);
});

test('a dry run changes nothing from first to last, and tells what stays', async () => {
  const { parts, dry } = worldOf(['a', 'b', 'c'], {
    a: [{ kind: 'wrong', wrong, kept: [] }],
    b: [{ kind: 'blocked', why: 'event e is archived twice' }],
    c: [{ kind: 'exact', kept: wrong }],
  });
  const result = await rebuildTruth({ ...EVERYBODY, isDryRun: true }, parts);
  expect(dry).toEqual([true]);
  expect(result.repaired.map(({ playerId }) => playerId)).toEqual(['a']);
  expect(result.stays.map(({ playerId }) => playerId)).toEqual(['b', 'c']);
});

describe('rows that many players make together', () => {
  const red: Healed = {
    gameId: 'demo',
    playerId: 'red',
    role: 'leaderboard',
    verdict: { kind: 'repaired', wrong, kept: [] },
  };
  const sharedIn = (parts: TruthRebuildParts): TruthRebuildParts => ({
    ...parts,
    healShared: async (gameId) => ({
      healed: [red, { ...red, playerId: 'blue', verdict: { kind: 'moving' } }],
      left: gameId === null ? [] : [red],
      isCut: false,
    }),
  });

  test('come after the players, are told with them, and are not looked at as players', async () => {
    const { parts, asked } = worldOf(['a']);
    const result = await rebuildTruth(EVERYBODY, sharedIn(parts));
    expect(asked).toEqual([['a']]);
    expect(result).toMatchObject({
      players: 1,
      repaired: [{ playerId: 'red' }],
      moving: [{ playerId: 'blue' }],
      left: [],
    });
    expect((await rebuildTruth({ ...EVERYBODY, gameId: 'demo' }, sharedIn(parts))).left).toEqual([red]);
  });

  test('alone, without them, or of one player: only what was asked for is looked at', async () => {
    const { parts, asked } = worldOf(['a']);
    await rebuildTruth({ ...EVERYBODY, rows: 'shared' }, sharedIn(parts));
    expect(asked).toEqual([]);
    for (const scope of [{ rows: 'players' }, { gameId: 'demo', playerId: 'a' }] as const)
      expect((await rebuildTruth({ ...EVERYBODY, ...scope }, sharedIn(parts))).repaired).toEqual([]);
  });
});
