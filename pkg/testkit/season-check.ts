import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { readSeason, recompute, type Recomputed } from '../../sample_events/recompute.js';
import type { SeasonEvent } from '../../sample_events/season.js';
import { parseDefinition } from '../games/definition-file.js';
import { ROLES } from '../kernel/roles.js';
import type { Database } from '../postgres/port.js';

const file = (name: string): URL => new URL(`../../sample_events/${name}`, import.meta.url);
const text = (name: string): string => readFileSync(file(name), 'utf8');

const definition = parseDefinition(text('demo.yaml'), { gameId: 'demo', version: 1 });

/** The sample season, or the part of it that some of its players played. */
export interface Season {
  /** As `replay` reads it. */
  readonly file: string;
  readonly lines: readonly SeasonEvent[];
  /** Events without their duplicates and conflicts. */
  readonly unique: number;
}

export function wholeSeason(): Season {
  const lines = readSeason(text('season.ndjson'));
  return { file: fileURLToPath(file('season.ndjson')), lines, unique: uniqueOf(lines) };
}

/** Everything of every n-th player, in a file below `folder`: what is decided per player is decided as in the whole. */
export function partOfSeason(every: number, folder: string): Season {
  const whole = readSeason(text('season.ndjson'));
  const players = [...new Set(whole.map(({ playerId }) => playerId))].sort();
  const chosen = new Set(players.filter((_, n) => n % every === 0));
  const lines = whole.filter(({ playerId }) => chosen.has(playerId));
  const path = join(folder, 'season.ndjson');
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return { file: path, lines, unique: uniqueOf(lines) };
}

const uniqueOf = (lines: readonly SeasonEvent[]): number => recompute(lines, definition).events.length;

/** What a season must lead to: a plain recomputation in memory that knows nothing of the roles' code. */
export const expectedSeason = async (db: Database, { lines }: Season): Promise<Recomputed> =>
  recompute(lines, definition, await storedOrder(db));

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

/** How many events each role has settled, in the order of ROLES. */
export async function settledEvents(db: Database): Promise<number[]> {
  const rows = await db.query<{ role: string; events: number }>(
    'SELECT role, count(*) AS events FROM inbox GROUP BY role',
  );
  return ROLES.map((role) => rows.find((row) => row.role === role)?.events ?? 0);
}

/** The tests that a season, fed whole and drained, passes on every bus. */
export function seasonTests(given: () => { readonly db: Database; readonly expected: Recomputed }): void {
  test('every unique event is archived once and settled once by every role', async () => {
    const { db, expected } = given();
    const archived = await db.query('SELECT count(*) AS events FROM events');
    expect(archived).toEqual([{ events: expected.events.length }]);
    expect(await settledEvents(db)).toEqual(ROLES.map(() => expected.events.length));
  });

  test('every board of every cycle equals a plain recomputation, ranks included', async () => {
    const { db, expected } = given();
    const rows = await db.query<{
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
    expect(sorted(found)).toEqual(sorted(plain));
  });

  test('totals and levels equal a plain recomputation', async () => {
    const { db, expected } = given();
    const rows = await db.query<{ player_id: string; total_xp: number; level: number }>(
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
    const { db, expected } = given();
    const rows = await db.query<{ player_id: string; grant_key: string; reward: string; amount: number }>(
      'SELECT player_id, grant_key, reward, amount FROM receipts',
    );
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
    const { db, expected } = given();
    const rows = await db.query<{
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

  test('delivered equals applied plus duplicate plus conflict plus dead, for each role', async () => {
    const rows = await given().db.query<{ role: string; delivered: number; settled: number }>(
      'SELECT role, sum(delivered) AS delivered, sum(applied + duplicate + conflict + dead) AS settled FROM role_counters GROUP BY role ORDER BY role',
    );
    expect(rows.map((row) => row.role)).toEqual([...ROLES].sort());
    for (const row of rows) expect(row.delivered).toBe(row.settled);
  });
}

const bySubject = (a: { subject: string }, b: { subject: string }): number =>
  a.subject < b.subject ? -1 : 1;

const sorted = (
  boards: Iterable<readonly [string, { subject: string }[]]>,
): [string, { subject: string }[]][] =>
  [...boards]
    .map(([id, entries]): [string, { subject: string }[]] => [id, [...entries].sort(bySubject)])
    .sort((a, b) => (a[0] < b[0] ? -1 : 1));
