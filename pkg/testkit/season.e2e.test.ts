import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Recomputed } from '../../sample_events/recompute.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { readRecording } from '../replay/recording.js';
import { replay } from '../replay/replay.js';
import { testRedisUrl } from './redis.js';
import { expectedSeason, seasonTests, wholeSeason } from './season-check.js';
import { startStack, type Stack } from './stack.js';

const season = wholeSeason();
const SUMMARY = new URL('../../sample_events/summary.json', import.meta.url);
const LABELS = new URL('../../sample_events/labels.json', import.meta.url);

let stack: Stack;
let expected: Recomputed;
let accepted = 0;

beforeAll(async () => {
  stack = await startStack({ redisUrl: testRedisUrl() });
  await Promise.all([stack.startWorker(), stack.startWorker()]);
  const [first, second] = await Promise.all([stack.startGateway(), stack.startGateway()]);
  const client = stack.client(first.url);
  const shared = {
    clock: systemClock,
    random: systemRandom,
    concurrency: 4,
    rate: null,
    fromLine: 0,
  };
  const { tally } = await replay({ ...shared, client, recording: readRecording([season.file], 0) });
  accepted = tally.accepted;
  // The whole season again, through the other gateway, while the roles are still at it.
  const again = stack.client(second.url);
  await replay({ ...shared, client: again, recording: readRecording([season.file], 0) });
  client.close();
  again.close();
  await stack.drained();
  expected = await expectedSeason(stack.db, season);
}, 120_000);
afterAll(() => stack.close());

describe('the sample season, posted twice through two gateways to two workers per role', () => {
  test('every unique event is accepted', () => {
    const { unique } = JSON.parse(readFileSync(SUMMARY, 'utf8')) as { unique: number };
    expect([accepted, season.unique]).toEqual([unique, unique]);
  });

  seasonTests(() => ({ db: stack.db, expected }));

  test('the honest players of the season stay unflagged', async () => {
    const labels = JSON.parse(readFileSync(LABELS, 'utf8')) as { playerId: string }[];
    const cheaters = new Set(labels.map((label) => label.playerId));
    const rows = await stack.db.query<{ player_id: string }>(
      'SELECT DISTINCT player_id FROM suspicious_events',
    );
    expect(rows.map((row) => row.player_id).filter((player) => !cheaters.has(player))).toEqual([]);
    expect(rows.length).toBeGreaterThan(0);
  });
});
