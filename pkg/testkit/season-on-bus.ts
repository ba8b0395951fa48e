import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Recomputed } from '../../sample_events/recompute.js';
import { takes } from '../../cmd/fairtally/takes.js';
import { auditGame } from '../audit/audit.js';
import { rerun } from '../fairness/rerun.js';
import { createDefinitionSource } from '../games/definitions/postgres.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { readRecording } from '../replay/recording.js';
import { replay } from '../replay/replay.js';
import type { BrokerForProcesses } from './process-brokers.js';
import { testRedisUrl } from './redis.js';
import { expectedSeason, partOfSeason, seasonTests, settledEvents, wholeSeason } from './season-check.js';
import { eventually, startStack, type Stack } from './stack.js';

const FEED_MS = 180_000;
const DRAIN_MS = 120_000;

/** Engines that run inside the test's own process are slow: `make test` takes the players of a part, `make seasons` all. */
const EVERY_NTH_PLAYER = 20;
const isWhole = process.env['WHOLE_SEASON'] === 'on';

/**
 * The end-to-end test of a bus: the sample season through a real gateway to two workers per role, one of which is
 * killed half-way; then every board, level, grant and finding is compared with a plain recomputation.
 *
 * @param startBroker null: the bus is in PostgreSQL
 */
export function seasonOnBus(name: string, startBroker: () => Promise<BrokerForProcesses | null>): void {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-season-'));
  const season = isWhole ? wholeSeason() : partOfSeason(EVERY_NTH_PLAYER, folder);
  let broker: BrokerForProcesses | null;
  let stack: Stack;
  let expected: Recomputed;
  let settledAtKill: number[] = [];

  beforeAll(async () => {
    broker = await startBroker();
    stack = await startStack({ redisUrl: testRedisUrl(), env: broker?.env ?? { BUS: 'postgres' } });
    const [victim] = await Promise.all([stack.startWorker(), stack.startWorker()]);
    const { url } = await stack.startGateway();
    const client = stack.client(url);
    const feed = replay({
      recording: readRecording([season.file], 0),
      client,
      clock: systemClock,
      random: systemRandom,
      concurrency: 4,
      rate: null,
      fromLine: 0,
    });
    const half = season.unique / 2;
    const killed = eventually(
      async () => {
        settledAtKill = await settledEvents(stack.db);
        return settledAtKill.some((events) => events >= half);
      },
      FEED_MS,
      'half of the season',
    ).then(async () => {
      victim.kill('SIGKILL');
      await victim.exited;
      broker?.forgetReaders?.();
    });
    await Promise.all([feed, killed]);
    client.close();
    const isSettled = async (): Promise<boolean> =>
      (await settledEvents(stack.db)).every((events) => events === season.unique);
    await eventually(isSettled, DRAIN_MS, 'the drain');
    expected = await expectedSeason(stack.db, season);
  }, FEED_MS + DRAIN_MS);

  afterAll(async () => {
    await stack.close();
    await broker?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  describe(`the sample season over the ${name} bus, to two workers per role of which one is killed half-way`, () => {
    test('the worker was killed while events were still on their way', () => {
      expect(Math.min(...settledAtKill)).toBeLessThan(season.unique);
    });

    seasonTests(() => ({ db: stack.db, expected }));

    test('the audit finds no difference, and there is no dead letter but of conflicts', async () => {
      const definitions = createDefinitionSource(stack.db);
      const result = await auditGame('demo', { db: stack.db, definitions, clock: systemClock, takes, rerun });
      expect(result.differences).toEqual([]);
      expect(result.letters.filter(({ reason }) => reason !== 'event_id_conflict')).toEqual([]);
    });
  });
}
