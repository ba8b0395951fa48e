import { expect, test } from '@jest/globals';
import { CHORES } from './chaos/chores.js';
import { runChaos } from './chaos/harness.js';

const KILLS = 20;

test('rows 31, 33, 34, 37 and 41: after 20 SIGKILLs of gateways, workers, PostgreSQL, Redis and clients that send everything again nothing acknowledged is lost or counts twice, and the board shows it', async () => {
  const result = await runChaos({
    seconds: null,
    killsMax: KILLS,
    clients: 4,
    clientPauseMs: 30, // what is killed matters, not how much is sent
    pauseMs: [150, 500],
    choreEveryMs: [500, 1_500],
    seed: 20_261_120,
    broker: null,
  });
  const { verdict, kills, chores, audit, sums, did } = result;
  expect([...kills.values()].reduce((a, b) => a + b)).toBe(KILLS);
  expect(verdict.acknowledged).toBeGreaterThan(500);
  for (const kind of ['late', 'refused', 'rival', 'with-key', 'again-after-ok'])
    expect([kind, did(kind)]).not.toEqual([kind, 0]);
  expect([...chores.done.keys()]).toEqual(CHORES);
  expect(chores.madeAgain).toEqual([]);
  expect(result.isDrained).toBe(true);
  expect(verdict).toMatchObject({ lost: [], doubled: [], unexpected: [] });
  expect(sums).toMatchObject({ progress: sums.ledger, board: sums.ledger, served: sums.shown });
  expect(audit).toMatchObject({ differences: [], isComplete: true, unread: [] });
}, 600_000);
