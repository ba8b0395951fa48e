import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Database } from '../postgres/port.js';
import { testDatabase, type TestDatabase } from '../testkit/postgres.js';
import type { RoleEvent } from '../worker/port.js';
import { ALL, dropAt, progression, roleEvent, XP } from './fixtures.js';
import { fold } from './fold.js';
import { countFindings, listFindings, listSamples } from './queries.postgres.js';
import { rerun } from './rerun.js';
import { fairnessRole } from './role.js';

let database: TestDatabase;
let db: Database;
beforeAll(async () => {
  database = await testDatabase();
  db = database.db;
});
afterAll(() => database.close());

const apply = (events: readonly RoleEvent[]): Promise<void> =>
  db.transaction(async (sql) => {
    const state = await fairnessRole.load(sql, events);
    await fairnessRole.save(sql, fairnessRole.fold(state, events));
  });

const noisy = (i: number): number => 100 + ((i * 37) % 23) + 0.1;
const xpOf = (playerId: string, values: readonly number[]): RoleEvent[] =>
  values.map((xp, i) => progression(`${playerId}-${String(i)}`, xp, playerId));
const seriesOfXp = (playerId: string) => ({ gameId: 'demo', playerId, metric: XP.name, partition: '' });

const baselineOf = async (playerId: string): Promise<object | undefined> =>
  (
    await db.query<object>(
      `SELECT samples, mean, m2, last_ts_ms FROM fairness_baselines WHERE player_id = $1 AND metric = $2`,
      [playerId, XP.name],
    )
  )[0];

test('what is stored in two batches equals the pure fold of the whole, bit for bit', async () => {
  const events = xpOf('bits', [...Array.from({ length: 30 }, (_, i) => noisy(i)), 9_000, 101]);
  await apply(events.slice(0, 13));
  await apply(events.slice(13));
  const expected = fold(new Map(), events);
  const { samples, mean, m2 } = [...expected.baselines.values()][0]!.baseline;
  expect(await baselineOf('bits')).toEqual({ samples, mean, m2, last_ts_ms: null });
  const { items } = await listFindings(db, { gameId: 'demo', playerId: 'bits', limit: 10 });
  expect(items).toHaveLength(expected.findings.length);
  const [finding] = expected.findings;
  expect(items[0]).toMatchObject({
    eventId: 'bits-30',
    value: 9_000,
    judged: finding?.judged,
    mean: finding?.mean,
    deviation: finding?.deviation,
    z: finding?.z,
    sampleNo: 31,
  });
  expect(items[0]?.foundAtMs).toBeGreaterThan(0);
});

test('running the stored samples again gives the stored findings, bit for bit', async () => {
  await apply(
    xpOf(
      'again',
      Array.from({ length: 200 }, (_, i) => (i % 41 === 40 ? 5_000 * i : noisy(i))),
    ),
  );
  const samples = await listSamples(db, seriesOfXp('again'), 0, 1_000);
  const { items } = await listFindings(db, { gameId: 'demo', playerId: 'again', limit: 1_000 });
  expect(samples).toHaveLength(200);
  expect(items.length).toBeGreaterThan(0);
  const evidence = ({ sampleNo, judged, mean, deviation, z }: (typeof items)[number]) => [
    sampleNo,
    judged,
    mean,
    deviation,
    z,
  ];
  expect(rerun(samples, () => XP).map((f) => [f.sampleNo, f.judged, f.mean, f.deviation, f.z])).toEqual(
    items.map(evidence).sort((a, b) => a[0]! - b[0]!),
  );
});

test('two interleaved transactions on the same new player lose nothing', async () => {
  const [first, second] = [xpOf('twins', [10, 20, 30]), xpOf('twins', [40, 50]).map((e) => renamed(e, 'b'))];
  let firstLocked!: () => void;
  let mayCommit!: () => void;
  const locked = new Promise<void>((resolve) => (firstLocked = resolve));
  const released = new Promise<void>((resolve) => (mayCommit = resolve));
  const one = db.transaction(async (sql) => {
    const state = await fairnessRole.load(sql, first);
    firstLocked();
    await released;
    await fairnessRole.save(sql, fairnessRole.fold(state, first));
  });
  await locked;
  const two = apply(second);
  await waitsForLock();
  mayCommit();
  await Promise.all([one, two]);
  const samples = await listSamples(db, seriesOfXp('twins'), 0, 100);
  expect(samples.map(({ sampleNo, judged }) => [sampleNo, judged])).toEqual([
    [1, 10],
    [2, 20],
    [3, 30],
    [4, 40],
    [5, 50],
  ]);
  expect(await baselineOf('twins')).toMatchObject({ samples: 5, mean: 30 });
});

const renamed = ({ event, definition }: RoleEvent, suffix: string): RoleEvent =>
  roleEvent(event.id + suffix, event.type, event.payload, { playerId: event.playerId, definition });

/** Until another session of this database waits for a lock: a state, not a moment. */
async function waitsForLock(): Promise<void> {
  for (;;) {
    const rows = await db.query<object>(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
  }
}

test('row 42: two batches that name the same players in opposite order do not deadlock', async () => {
  const players = Array.from({ length: 40 }, (_, i) => `cross-${String(i)}`);
  const batch = (order: readonly string[], tag: string) => order.map((p) => progression(`${p}-${tag}`, 5, p));
  for (let round = 0; round < 5; round += 1) {
    await Promise.all([
      apply(batch(players, `a${String(round)}`)),
      apply(batch(players.toReversed(), `b${String(round)}`)),
    ]);
  }
  const [row] = await db.query<{ samples: number }>(
    `SELECT sum(samples)::bigint AS samples FROM fairness_baselines WHERE player_id LIKE 'cross-%'`,
  );
  expect(row?.samples).toBe(400);
});

test('the time of the previous event is kept between batches and is not moved back', async () => {
  const start = 1_792_454_400_000;
  await apply([dropAt('d1', start)]);
  await apply([dropAt('d2', start - 60_000)]);
  await apply([dropAt('d3', start + 2_500)]);
  const samples = await listSamples(db, { ...seriesOfXp('p-1'), metric: 'drop-gap' }, 0, 10);
  expect(samples.map(({ judged }) => judged)).toEqual([2.5]);
});

test('a batch that feeds no metric makes no row', async () => {
  await apply([roleEvent('none', 'progression', { deltaXp: 'x' }, { playerId: 'nobody', definition: ALL })]);
  expect(await baselineOf('nobody')).toBeUndefined();
});

test('the list of findings pages through everything once, newest first, and refuses a foreign cursor', async () => {
  const players = ['page-1', 'page-2', 'page-3'];
  for (const player of players)
    await apply(xpOf(player, [...Array.from({ length: 12 }, (_, i) => noisy(i)), 9_999, 999_999]));
  const seen: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await listFindings(db, { gameId: 'demo', metric: XP.name, limit: 2, cursor });
    seen.push(...page.items.map((item) => item.findingId));
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
  const all = await listFindings(db, { gameId: 'demo', metric: XP.name, limit: 1_000 });
  expect(seen).toEqual(all.items.map((item) => item.findingId));
  expect(new Set(seen).size).toBe(seen.length);
  expect((await listFindings(db, { gameId: 'other', limit: 10 })).items).toEqual([]);
  await expect(listFindings(db, { gameId: 'demo', limit: 10, cursor: 'bm9wZQ' })).rejects.toMatchObject({
    code: 'bad_cursor',
  });
  await expect(listFindings(db, { gameId: 'demo', limit: 0 })).rejects.toMatchObject({ code: 'bad_limit' });
  const counts = await countFindings(db);
  expect(counts).toEqual([{ gameId: 'demo', metric: XP.name, findings: seen.length }]);
});
