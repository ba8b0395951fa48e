import { expect, test } from '@jest/globals';
import { runChaos } from './chaos/harness.js';

const KILLS = 20;

test('rows 31, 33, 34, 37 and 41: after 20 SIGKILLs of gateways, workers, PostgreSQL, Redis and clients that send everything again nothing acknowledged is lost or counts twice, and the board shows it', async () => {
  const result = await runChaos({
    seconds: null,
    killsMax: KILLS,
    clients: 4,
    pauseMs: [150, 500],
    broker: null,
  });
  const { verdict, kills, audit, letters, sums } = result;
  expect([...kills.values()].reduce((a, b) => a + b)).toBe(KILLS);
  expect(verdict.acknowledged).toBeGreaterThan(500);
  expect(verdict).toMatchObject({ lost: [], doubled: [], unexpected: [] });
  expect(letters).toEqual([]);
  expect(new Set(Object.values(sums))).toEqual(new Set([sums.ledger]));
  expect(audit.differences).toEqual([]);
}, 600_000);
