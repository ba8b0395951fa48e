import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readSeason, recompute, type Recomputed } from '../../sample_events/recompute.js';
import { parseDefinition } from '../games/definition-file.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import { ROLES } from '../kernel/roles.js';
import type { Database } from '../postgres/port.js';
import { replay } from '../replay/replay.js';
import { startStack, type Stack } from './stack.js';
import { testRedisUrl } from './redis.js';

const SEASON = new URL('../../sample_events/season.ndjson', import.meta.url);
const DEFINITION = new URL('../../sample_events/demo.yaml', import.meta.url);
const LABELS = new URL('../../sample_events/labels.json', import.meta.url);
const SUMMARY = new URL('../../sample_events/summary.json', import.meta.url);

interface Summary {
  readonly lines: number;
  readonly unique: number;
  readonly duplicates: number;
  readonly conflicts: readonly unknown[];
}

const summary = JSON.parse(readFileSync(SUMMARY, 'utf8')) as Summary;
const lines = readSeason(readFileSync(SEASON, 'utf8'));
const definition = parseDefinition(readFileSync(DEFINITION, 'utf8'), { gameId: 'demo', version: 1 });
let stack: Stack;
let expected: Recomputed;
let accepted = 0;

/** The order in which the running fairness role took its samples. */
const storedOrder = (
  db: Database,
): Promise<
  { playerId: string; metric: string; partition: string; sampleNo: number; eventId: string; judged: number }[]
> =>
  db.query(
    `SELECT s.player_id AS "playerId", s.metric, s.partition, s.sample_no AS "sampleNo", e.event_id AS "eventId", s.value AS judged
       FROM fairness_samples s JOIN events e USING (game_id, player_id, dedupe_day, identity)
      ORDER BY s.player_id, s.metric, s.partition, s.sample_no`,
  );

beforeAll(async () => {
  stack = await startStack({ redisUrl: testRedisUrl() });
  await Promise.all([stack.startWorker(), stack.startWorker()]);
  const [first, second] = await Promise.all([stack.startGateway(), stack.startGateway()]);
  const client = stack.client(first.url);
  const files = [fileURLToPath(SEASON)];
  const shared = {
    files,
    clock: systemClock,
    random: systemRandom,
    concurrency: 4,
    rate: null,
    rebaseDays: 0,
    fromLine: 0,
  };
  const { tally } = await replay({ ...shared, client });
  accepted = tally.accepted;
  // The whole season again, through the other gateway, while the roles are still at it.
  const again = stack.client(second.url);
  await replay({ ...shared, client: again });
  client.close();
  again.close();
  await stack.drained();
  expected = recompute(lines, definition, await storedOrder(stack.db));
}, 120_000);
afterAll(() => stack.close());

describe('the sample season, posted twice through two gateways to two workers per role', () => {
  test('every unique event is accepted, archived once and settled once by every role', async () => {
    expect(accepted).toBe(summary.unique);
    const archived = await stack.db.query('SELECT count(*) AS events FROM events');
    expect(archived).toEqual([{ events: summary.unique }]);
    const settled = await stack.db.query(
      'SELECT role, count(*) AS events FROM inbox GROUP BY role ORDER BY role',
    );
    expect(settled).toEqual([...ROLES].sort().map((role) => ({ role, events: summary.unique })));
  });

  test('every board of every cycle equals a plain recomputation, ranks included', async () => {
    const rows = await stack.db.query<{
      board: string;
      cycle: string;
      partition: string;
      subject: string;
      score: number;
      reached_at: number;
    }>('SELECT board, cycle, partition, subject, score, reached_at FROM board_scores');
    const found = new Map<string, { subject: string; score: number; reachedAtMs: number }[]>();
    for (const { board, cycle, partition, subject, score, reached_at } of rows) {
      const id = `${board} ${cycle} ${partition}`;
      found.set(id, [...(found.get(id) ?? []), { subject, score, reachedAtMs: reached_at }]);
    }
    const plain = [...expected.boards].map(
      ([id, entries]) =>
        [id, entries.map(({ subject, score, reachedAtMs }) => ({ subject, score, reachedAtMs }))] as const,
    );
    const bySubject = (a: { subject: string }, b: { subject: string }): number =>
      a.subject < b.subject ? -1 : 1;
    const sorted = (
      boards: Iterable<readonly [string, { subject: string }[]]>,
    ): [string, { subject: string }[]][] =>
      [...boards]
        .map(([id, entries]): [string, { subject: string }[]] => [id, [...entries].sort(bySubject)])
        .sort((a, b) => (a[0] < b[0] ? -1 : 1));
    expect(sorted(found)).toEqual(sorted(plain));
  });

  test('totals and levels equal a plain recomputation', async () => {
    const rows = await stack.db.query<{ player_id: string; total_xp: number; level: number }>(
      'SELECT player_id, total_xp, level FROM player_progress',
    );
    const found = new Map(
      rows
        .filter((row) => row.total_xp > 0)
        .map((row) => [row.player_id, { totalXp: row.total_xp, level: row.level }]),
    );
    const plain = new Map([...expected.progress].filter(([, { totalXp }]) => totalXp > 0));
    expect(found).toEqual(plain);
  });

  test('every reward is granted once, with the amount of a plain recomputation', async () => {
    const rows = await stack.db.query<{
      player_id: string;
      grant_key: string;
      reward: string;
      amount: number;
    }>('SELECT player_id, grant_key, reward, amount FROM receipts');
    const found = rows
      .map((row) => `${row.player_id} ${row.grant_key} ${row.reward} ${String(row.amount)}`)
      .sort();
    const plain = [...expected.grants]
      .flatMap(([player, grants]) =>
        [...grants].map(([key, grant]) => `${player} ${key} ${grant.reward} ${String(grant.amount)}`),
      )
      .sort();
    expect(found).toEqual(plain);
  });

  test('findings equal a rerun in the stored sample order', async () => {
    const rows = await stack.db.query<{
      player_id: string;
      event_id: string;
      metric: string;
      sample_no: number;
      z: number;
    }>('SELECT player_id, event_id, metric, sample_no, z FROM suspicious_events');
    const key = (player: string, event: string, metric: string, sample: number): string =>
      `${player} ${event} ${metric} ${String(sample)}`;
    const found = new Map(
      rows.map((row) => [key(row.player_id, row.event_id, row.metric, row.sample_no), row.z]),
    );
    const plain = new Map(
      expected.findings.map((finding) => [
        key(finding.playerId, finding.eventId, finding.metric, finding.sampleNo),
        finding.z,
      ]),
    );
    expect([...found.keys()].sort()).toEqual([...plain.keys()].sort());
    for (const [id, z] of found) expect(z).toBeCloseTo(plain.get(id) ?? Number.NaN, 6);
  });

  test('the honest players of the season stay unflagged', async () => {
    const labels = JSON.parse(readFileSync(LABELS, 'utf8')) as { playerId: string }[];
    const cheaters = new Set(labels.map((label) => label.playerId));
    const rows = await stack.db.query<{ player_id: string }>(
      'SELECT DISTINCT player_id FROM suspicious_events',
    );
    expect(rows.map((row) => row.player_id).filter((player) => !cheaters.has(player))).toEqual([]);
    expect(rows.length).toBeGreaterThan(0);
  });

  test('delivered equals applied plus duplicate plus conflict plus dead, for each role', async () => {
    const rows = await stack.db.query<{ role: string; delivered: number; settled: number }>(
      'SELECT role, sum(delivered) AS delivered, sum(applied + duplicate + conflict + dead) AS settled FROM role_counters GROUP BY role ORDER BY role',
    );
    expect(rows.map((row) => row.role)).toEqual(['archive', 'fairness', 'leaderboard', 'progression']);
    for (const row of rows) expect(row.delivered).toBe(row.settled);
  });
});
