import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { auditGame } from '../audit/audit.js';
import { applyToRoles, auditParts, playedEvents, prepareGame } from '../audit/fixtures.js';
import { createMetrics } from '../runtime/metrics.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { quietLogger } from '../testkit/quiet.js';
import { healParts } from '../worker/rederive/fixtures.js';
import { healPlayers } from '../worker/rederive/heal.js';
import { reconcileStep, runReconciler, type ReconcilerParts } from './reconcile.js';
import { playersAfter, postgresWalks } from './walks.postgres.js';

let server: TestDatabase;
const refreshed: string[] = [];
beforeAll(async () => {
  server = await testDatabase();
  await prepareGame(server.db);
  await applyToRoles(server.db, playedEvents());
});
afterAll(() => server.close());

const running = new AbortController().signal;
const metrics = createMetrics({ processMetrics: false });
const told: object[] = [];
const log = { ...quietLogger, warn: (fields: object) => void told.push(fields) };
const parts = (): ReconcilerParts<never> => ({
  walks: postgresWalks(server.db),
  views: null,
  truth: {
    playersAfter: (player, limit) => playersAfter(server.db, player, Math.min(limit, 40)),
    heal: (gameId, players) =>
      healPlayers(
        gameId,
        players,
        healParts(server.db, undefined, async (_, playerId) => void refreshed.push(playerId)),
      ),
  },
  clock: { sleep: async () => undefined },
  log,
  metrics,
  everySeconds: 3_600,
});
const due = (): Promise<unknown> => server.db.query("UPDATE healing_walks SET next_at = '2000-01-01'");
const drift = async (): Promise<string[]> =>
  (await metrics.render())
    .split('\n')
    .filter((line) => /^fairtally_board_(drift|checked)_total.*truth/.test(line));

test('one worker takes the step that is due, and the others find it taken', async () => {
  await server.db.query("UPDATE player_progress SET total_xp = total_xp + 1 WHERE player_id = 'p-1'");
  await server.db.query("UPDATE board_scores SET score = score + 1 WHERE board = 'xp' AND subject = 'p-2'");
  await server.db.query(
    "INSERT INTO board_scores VALUES ('demo', 'xp', 'all-time:all', '', 'ghost', 9, 1, '', 1, 1)",
  );
  await Promise.all([1, 2, 3].map(() => reconcileStep(parts(), running)));
  expect(await drift()).toEqual([
    'fairtally_board_drift_total{kind="truth",state="found"} 3',
    'fairtally_board_drift_total{kind="truth",state="repaired"} 3',
    'fairtally_board_checked_total{kind="truth"} 6', // two guilds are among those that boards name
  ]);
  expect(refreshed.sort()).toEqual(['ghost', 'p-2']);
  expect(told).toHaveLength(3);
  expect((await auditGame('demo', { db: server.db, ...auditParts })).differences).toEqual([]);
});

test('the walk goes on where it stopped, whoever takes the next step, and then round', async () => {
  const seen: string[][] = [];
  const walking = (): ReconcilerParts<never> => ({
    ...parts(),
    truth: {
      playersAfter: async ({ playerId }, limit) => {
        const names = Array.from({ length: 50 }, (_, n) => `w-${String(n).padStart(2, '0')}`);
        return names
          .filter((name) => name > playerId)
          .slice(0, limit)
          .map((name) => ({ gameId: 'demo', playerId: name }));
      },
      heal: async (_, players) => {
        seen.push([...players]);
        return [];
      },
    },
  });
  for (let step = 0; step < 3; step += 1) {
    await due();
    await reconcileStep(walking(), running);
  }
  expect(seen.map((players) => [players[0], players.length])).toEqual([
    ['w-00', 40],
    ['w-40', 10],
    ['w-00', 40],
  ]);
});

test('a step that fails is told, and the loop goes on until it is stopped', async () => {
  told.length = 0;
  const stop = new AbortController();
  let steps = 0;
  const failing: ReconcilerParts<never> = {
    ...parts(),
    truth: {
      playersAfter: () => Promise.reject(new Error('away')),
      heal: async () => [],
    },
    clock: {
      sleep: async () => {
        steps += 1;
        await due();
        if (steps === 3) stop.abort();
      },
    },
  };
  await due();
  await runReconciler(failing, stop.signal);
  expect([steps, told.length]).toEqual([3, 3]);
});

test('a page that cannot be looked at keeps neither the walk nor the views from going on, and is told', async () => {
  told.length = 0;
  const seen: string[] = [];
  const key = { gameId: 'demo', board: 'xp', cycle: 'all-time:all', partition: '' };
  const failing: ReconcilerParts<{ readonly key: typeof key }> = {
    ...parts(),
    views: {
      isAway: () => false,
      cyclesAfter: async () => [{ key }],
      reconcileCycle: async () => {
        seen.push('cycle');
        return { rows: 1, drifts: [], players: [] };
      },
      reconcilePlayer: async () => ({ rows: 0, drifts: [], players: [] }),
    },
    truth: {
      playersAfter: async ({ playerId }) =>
        Array.from({ length: 40 }, (_, n) => ({ gameId: 'demo', playerId: `${playerId}x${String(n)}` })),
      heal: async (_, [first = '']) => {
        if (first !== '') seen.push(first);
        if (seen.length === 1) throw new Error('cancelled');
        return [];
      },
    },
  };
  await server.db.query('DELETE FROM healing_walks');
  await reconcileStep(failing, running);
  await due();
  await reconcileStep(failing, running);
  expect(seen).toEqual(['x0', 'cycle', 'x39x0', 'cycle']);
  expect(told).toHaveLength(1);
});

test('a player who was left is counted each time, and named once', async () => {
  const errors: object[] = [];
  const metricsOfLeaving = createMetrics({ processMetrics: false });
  const named = new Set<string>();
  const leaving: ReconcilerParts<never> = {
    ...parts(),
    metrics: metricsOfLeaving,
    log: { ...quietLogger, error: (fields: object) => void errors.push(fields) },
    truth: {
      playersAfter: async () => [{ gameId: 'demo', playerId: 'busy' }],
      heal: async (gameId) => [
        { gameId, playerId: 'busy', role: 'progression', verdict: { kind: 'unread', why: 'too much' } },
      ],
    },
  };
  for (let step = 0; step < 2; step += 1) {
    await due();
    await reconcileStep(leaving, running, named);
  }
  expect(errors).toEqual([{ gameId: 'demo', playerId: 'busy', role: 'progression', why: 'too much' }]);
  expect(await metricsOfLeaving.render()).toContain('fairtally_players_unread_total 2');
});
