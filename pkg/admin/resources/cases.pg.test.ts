import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FairnessMetric } from '../../games/port.js';
import { NOON_MS as NOON, testBoard, definitionWith } from '../../leaderboard/fixtures.js';
import type { GameRoutes } from '../api/routes.js';
import { fairnessRoutes } from './fairness-routes.js';
import { ANN, auditOf, bodyOf, callTo, openWorld, type World } from './fixtures.js';
import { playerRoutes } from './player-routes.js';

const METRIC: FairnessMetric = {
  name: 'xp-gain',
  eventType: 'progression',
  value: { field: 'deltaXp' },
  partitionField: null,
  transform: 'log',
  side: 'high',
  minSamples: 2,
  maxZ: 3,
};

let world: World;
let gameId: string;
let games = 0;
type Routes = Pick<
  GameRoutes,
  | 'listCases'
  | 'getCase'
  | 'judgeCase'
  | 'reverseVerdict'
  | 'assignCase'
  | 'addCaseNote'
  | 'listFindings'
  | 'getEvidence'
>;
let routes: Routes;
let players: Pick<GameRoutes, 'hidePlayer' | 'restorePlayer'>;
beforeAll(async () => {
  world = await openWorld();
  const { setHidden, view, clock } = world;
  const definitionOf = (id: string) => ({ ...definitionWith(id, testBoard()), fairness: [METRIC] });
  routes = fairnessRoutes({
    definitions: { version: (id) => Promise.resolve(definitionOf(id)) },
    setHidden,
    view,
  });
  players = playerRoutes({
    progression: () => Promise.reject(new Error('nobody asks')) as never,
    setHidden,
    view,
    boards: world.boardsOf(() => definitionOf('none')),
    finalRanks: () => Promise.resolve([]),
    definitions: { inForce: () => Promise.resolve(null) },
    clock,
  });
  await world.db.query(
    `INSERT INTO admin_users (user_id, username, all_games) VALUES ($1, 'ann', true), ('bob-0000000000000000aa', 'bob', false)`,
    [ANN.userId],
  );
});
afterAll(() => world.close());
beforeEach(async () => {
  gameId = `cases-${String((games += 1))}`;
  await world.makeGame(gameId);
});

let identities = 0;
const identity = (): string => `00000000-0000-4000-8000-${String((identities += 1)).padStart(12, '0')}`;

/** A finding as the role stores it. */
async function find(playerId: string, metric = 'xp-gain', z = 9): Promise<void> {
  await world.db.query(
    `INSERT INTO suspicious_events (game_id, player_id, metric, partition, dedupe_day, identity, event_id, ts_ms, value, judged,
                                    mean, deviation, z, sample_no, definition_version)
     VALUES ($1, $2, $3, '', '2026-11-20', $4, 'e-1', $5, 100, 4.6, 1, 0.5, $6, 3, 1)`,
    [gameId, playerId, metric, identity(), NOON, z],
  );
}

const cases = async (query: object = {}) =>
  (await bodyOf(routes.listCases(callTo<'listCases'>(world, gameId, { query })))).items;
async function openCase(playerId: string, metric = 'xp-gain'): Promise<number> {
  await find(playerId, metric);
  const [one] = await cases({ playerId, metric, state: 'open' });
  if (one === undefined) throw new Error('the finding opened no case');
  return one.caseId;
}
const judge = (caseId: number, verdict: 'cheat' | 'clean', hide: boolean) =>
  bodyOf(
    routes.judgeCase(
      callTo<'judgeCase'>(world, gameId, { path: { caseId }, body: { verdict, hide, reason: 'seen' } }),
    ),
  );
const reverse = (caseId: number) =>
  bodyOf(
    routes.reverseVerdict(
      callTo<'reverseVerdict'>(world, gameId, { path: { caseId }, body: { reason: 'mistaken' } }),
    ),
  );
/** By hand, as an operator. */
const byHand = (playerId: string) => ({ path: { playerId }, body: { reason: 'by hand' } });
const hide = (playerId: string) =>
  bodyOf(players.hidePlayer(callTo<'hidePlayer'>(world, gameId, byHand(playerId))));
const restore = (playerId: string) =>
  bodyOf(players.restorePlayer(callTo<'restorePlayer'>(world, gameId, byHand(playerId))));
const isHidden = async (playerId: string): Promise<boolean> => {
  const [row] = await world.db.query<{ hidden: boolean }>(
    'SELECT hidden FROM player_state WHERE game_id = $1 AND player_id = $2',
    [gameId, playerId],
  );
  return row?.hidden === true;
};

describe('a case', () => {
  test('is opened by a finding, and gathers the others about the player and the metric', async () => {
    await find('p-1', 'xp-gain', 4);
    await find('p-1', 'xp-gain', -12);
    await find('p-1', 'boss-speed');
    await find('p-2');
    const listed = await cases();
    expect(
      listed.map(({ playerId, metric, findings, maxAbsZ }) => [playerId, metric, findings, maxAbsZ]),
    ).toEqual([
      ['p-2', 'xp-gain', 1, 9],
      ['p-1', 'boss-speed', 1, 9],
      ['p-1', 'xp-gain', 2, 12],
    ]);
    const caseId = listed[2]?.caseId ?? 0;
    const detail = await bodyOf(routes.getCase(callTo<'getCase'>(world, gameId, { path: { caseId } })));
    expect(detail.findings.map(({ z, caseId: of }) => [z, of])).toEqual([
      [-12, caseId],
      [4, caseId],
    ]);
    expect(detail.events.map(({ kind, by }) => [kind, by])).toEqual([['opened', 'fairness']]);
  });

  test('is listed page by page, each case once', async () => {
    for (const player of ['a', 'b', 'c', 'd', 'e']) await find(player);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { items: { playerId: string }[]; nextCursor: string | null } = await bodyOf(
        routes.listCases(
          callTo<'listCases'>(world, gameId, { query: { limit: 2, ...(cursor === null ? {} : { cursor }) } }),
        ),
      );
      seen.push(...page.items.map(({ playerId }) => playerId));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(seen).toEqual(['e', 'd', 'c', 'b', 'a']);
  });

  test('is decided once; a later finding opens another', async () => {
    const caseId = await openCase('p-1');
    expect(await judge(caseId, 'clean', false)).toMatchObject({
      state: 'clean',
      decidedBy: 'ann',
      hid: false,
    });
    await expect(judge(caseId, 'cheat', false)).rejects.toMatchObject({ problem: 'case_decided' });
    const later = await openCase('p-1');
    expect(later).not.toBe(caseId);
    const listed = await bodyOf(
      routes.listFindings(callTo<'listFindings'>(world, gameId, { query: { playerId: 'p-1' } })),
    );
    expect(listed.items.map((one) => one.caseId)).toEqual([later, caseId]);
  });

  test('hides the player with its verdict and restores them when it is taken back', async () => {
    const caseId = await openCase('p-1');
    expect(await judge(caseId, 'cheat', true)).toMatchObject({
      state: 'cheat',
      hid: true,
      playerHidden: true,
    });
    expect(await isHidden('p-1')).toBe(true);
    expect(await reverse(caseId)).toMatchObject({
      state: 'open',
      hid: false,
      playerHidden: false,
      decidedAt: null,
    });
    expect(await isHidden('p-1')).toBe(false);
    const detail = await bodyOf(routes.getCase(callTo<'getCase'>(world, gameId, { path: { caseId } })));
    expect(detail.events.map(({ eventNo, kind, text, hid }) => [eventNo, kind, text, hid])).toEqual([
      [1, 'opened', null, false],
      [2, 'cheat', 'seen', true],
      [3, 'reversed', 'mistaken', false],
    ]);
    expect((await auditOf(world, gameId)).map(({ action, reason }) => [action, reason])).toEqual([
      ['case.judge', 'seen'],
      ['case.reverse', 'mistaken'],
    ]);
  });

  test('taken back leaves hidden whom another verdict hides, and whom an operator hid', async () => {
    const first = await openCase('p-1', 'xp-gain');
    const second = await openCase('p-1', 'boss-speed');
    await judge(first, 'cheat', true);
    await judge(second, 'cheat', true);
    await reverse(first);
    expect(await isHidden('p-1')).toBe(true);
    await reverse(second);
    expect(await isHidden('p-1')).toBe(false);

    const other = await openCase('p-2');
    await world.setHidden(world.db, { gameId, playerId: 'p-2', hidden: true, by: 'bob', reason: 'by hand' });
    await judge(other, 'cheat', true);
    await reverse(other);
    expect(await isHidden('p-2')).toBe(true);
  });

  test('taken back leaves hidden whom an operator hid after it, whatever other verdicts ask for', async () => {
    const first = await openCase('p-1', 'xp-gain');
    const second = await openCase('p-1', 'boss-speed');
    await judge(first, 'cheat', true);
    expect(await hide('p-1')).toMatchObject({
      hidden: true,
      changed: false,
      changedBy: 'ann',
      reason: 'by hand',
    });
    await judge(second, 'cheat', true);
    expect(await reverse(first)).toMatchObject({ playerHidden: true });
    expect(await reverse(second)).toMatchObject({ playerHidden: true });
    expect((await auditOf(world, gameId))[1]?.details).toEqual({ changed: false, tookOver: true });

    await restore('p-1');
    await judge(first, 'cheat', true);
    expect(await reverse(first)).toMatchObject({ playerHidden: false });
  });

  test('taken back shows whom an operator had put back after the verdicts before it, each of which asked for hiding', async () => {
    const first = await openCase('p-1', 'xp-gain');
    const second = await openCase('p-1', 'boss-speed');
    const third = await openCase('p-1', 'drop-rate');
    const fourth = await openCase('p-1', 'playtime');
    await judge(first, 'cheat', true);
    await judge(second, 'cheat', true);
    await restore('p-1');
    await judge(third, 'cheat', true);
    await judge(fourth, 'cheat', true);
    expect(await reverse(third)).toMatchObject({ playerHidden: true });
    // Overruled, and taken back: it has nothing to hand over.
    expect(await reverse(first)).toMatchObject({ playerHidden: true });
    expect(await reverse(fourth)).toMatchObject({ playerHidden: false });
    expect(await reverse(second)).toMatchObject({ playerHidden: false });
  });

  test('taken back while an operator hides leaves the player hidden whenever both were done', async () => {
    for (let round = 0; round < 5; round += 1) {
      const playerId = `p-${String(round)}`;
      const caseId = await openCase(playerId);
      await judge(caseId, 'cheat', true);
      await Promise.all([reverse(caseId), hide(playerId)]);
      expect(await isHidden(playerId)).toBe(true);
    }
  });

  test('taken back beside a later one that is open is reversed, and cannot be taken back again', async () => {
    const caseId = await openCase('p-1');
    await judge(caseId, 'cheat', true);
    await openCase('p-1');
    expect(await reverse(caseId)).toMatchObject({ state: 'reversed', playerHidden: false });
    await expect(reverse(caseId)).rejects.toMatchObject({ problem: 'case_open' });
  });

  test('is given to those who may judge it, and to nobody else', async () => {
    const caseId = await openCase('p-1');
    const assign = (userId: string | null) =>
      bodyOf(routes.assignCase(callTo<'assignCase'>(world, gameId, { path: { caseId }, body: { userId } })));
    const bob = 'bob-0000000000000000aa';
    await expect(assign(bob)).rejects.toMatchObject({ problem: 'assignee_unfit' });
    await world.db.query(
      `INSERT INTO admin_memberships (game_id, user_id, role) VALUES ($1, $2, 'analyst')`,
      [gameId, bob],
    );
    expect((await assign(bob)).assignee).toEqual({ userId: bob, username: 'bob' });
    expect((await cases({ assignee: 'me' })).length).toBe(0);
    await assign(ANN.userId);
    expect((await cases({ assignee: 'me' })).map((one) => one.caseId)).toEqual([caseId]);
    await assign(null);
    expect((await cases({ assignee: 'nobody' })).map((one) => one.caseId)).toEqual([caseId]);
  });

  test('row 71: keeps a note as the text that it is', async () => {
    const caseId = await openCase('p-1');
    const text = '<img src=x onerror=alert(1)>\n=HYPERLINK("x")';
    const note = await bodyOf(
      routes.addCaseNote(callTo<'addCaseNote'>(world, gameId, { path: { caseId }, body: { text } })),
    );
    expect(note).toMatchObject({ kind: 'noted', by: 'ann', text, eventNo: 2 });
  });

  test('row 69: of another game is not found, neither read nor judged', async () => {
    const caseId = await openCase('p-1');
    const other = `cases-other-${String(games)}`;
    await world.makeGame(other);
    await expect(
      bodyOf(routes.getCase(callTo<'getCase'>(world, other, { path: { caseId } }))),
    ).rejects.toMatchObject({
      problem: 'not_found',
    });
    const body = { verdict: 'cheat', hide: true, reason: 'no' } as const;
    await expect(
      bodyOf(routes.judgeCase(callTo<'judgeCase'>(world, other, { path: { caseId }, body }))),
    ).rejects.toMatchObject({ problem: 'not_found' });
    expect((await cases({ state: 'open' })).length).toBe(1);
  });
});

describe('the evidence of a finding', () => {
  test('is its series around it with the band that each sample was judged by, and the times of the events', async () => {
    const samples = [1, 1.5, 0.5, 4.6, 1];
    const ids = samples.map(identity);
    await world.db.query("SELECT ensure_month('2026-11-20')");
    for (const [index, value] of samples.entries()) {
      await world.db.query(
        `INSERT INTO fairness_samples VALUES ($1, 'p-1', 'xp-gain', '', $2, '2026-11-20', $3, $4, 1)`,
        [gameId, index + 1, ids[index], value],
      );
      await world.db.query(
        `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                             definition_version, content_hash, payload)
         VALUES ('2026-11-20', $1, $2, 'p-1', 'e', 'progression', $3, $3, 'server', 'k', 1, '', '{}')`,
        [ids[index], gameId, NOON + index],
      );
    }
    await world.db.query(
      `INSERT INTO suspicious_events (game_id, player_id, metric, partition, dedupe_day, identity, event_id, ts_ms, value, judged,
                                      mean, deviation, z, sample_no, definition_version)
       VALUES ($1, 'p-1', 'xp-gain', '', '2026-11-20', $2, 'e-1', $3, 98.5, 4.6, 1, 0.5, 7.2, 4, 1)`,
      [gameId, ids[3], NOON + 3],
    );
    const [finding] = (await bodyOf(routes.listFindings(callTo<'listFindings'>(world, gameId)))).items;
    const evidence = await bodyOf(
      routes.getEvidence(
        callTo<'getEvidence'>(world, gameId, {
          path: { findingId: finding?.findingId ?? 0 },
          query: { around: 2 },
        }),
      ),
    );
    expect(evidence).toMatchObject({ transform: 'log', side: 'high', maxZ: 3, minSamples: 2 });
    expect(evidence.points.map(({ sampleNo, isFinding, at }) => [sampleNo, isFinding, at])).toEqual([
      [2, false, new Date(NOON + 1).toISOString()],
      [3, false, new Date(NOON + 2).toISOString()],
      [4, true, new Date(NOON + 3).toISOString()],
      [5, false, new Date(NOON + 4).toISOString()],
    ]);
    const [second, , judged] = evidence.points;
    expect(second).toMatchObject({ deviation: null, low: null, high: null });
    expect(second?.mean).toBeCloseTo(1, 9);
    expect(judged?.high).toBeCloseTo(Math.expm1(2.5), 9);
    expect(judged?.center).toBeCloseTo(Math.expm1(1), 9);
  });
});
