import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Redis } from 'ioredis';
import { systemClock } from '../../kernel/clock.js';
import { commitBatch } from '../../leaderboard/fixtures.js';
import { redisBoardView } from '../../leaderboard/redis.js';
import { postgresBoardTruth } from '../../leaderboard/truth.postgres.js';
import { BoardView } from '../../leaderboard/view.js';
import { createProgressionReads } from '../../progression/queries.postgres.js';
import { createReceiptSigner } from '../../progression/receipt-signer.js';
import { receiptIdOf } from '../../progression/receipts.js';
import { createRedisClient, redisReady } from '../../redis/client.js';
import type { Answered, Ask } from '../../testkit/admin-server.js';
import { roleEvent } from '../../testkit/admitted-event.js';
import { quietLogger } from '../../testkit/quiet.js';
import { startRedisServer, type RedisServer } from '../../testkit/redis-server.js';
import { rowsOf, sampleSource, startResourceServer, type ResourceServer } from './fixtures.js';

let redisServer: RedisServer;
let redis: Redis;
let view: BoardView;
let server: ResourceServer;
let ask: Ask;
let gameId: string;
let games = 0;

beforeAll(async () => {
  redisServer = await startRedisServer();
  redis = createRedisClient({ url: redisServer.url, commandTimeoutMs: 5_000 });
  await redisReady(redis, 10_000);
  server = await startResourceServer(redis);
  const truth = postgresBoardTruth(server.db);
  const store = redisBoardView(redis, quietLogger, () => 'life');
  view = new BoardView({
    truth,
    store,
    definitions: server.definitions,
    clock: systemClock,
    log: quietLogger,
  });
  ({ ask } = await server.signIn('ann', {}, true));
});
afterAll(async () => {
  await server.close();
  redis.disconnect();
  await redisServer.stop();
});
beforeEach(async () => {
  gameId = `game-${String((games += 1))}`;
  await server.addGame(gameId);
});

const at = (path: string): string => `/admin/v1/games/${gameId}${path}`;
const get = (path: string): Promise<Answered> => ask('GET', at(path));
const post = (path: string, body: unknown): Promise<Answered> => ask('POST', at(path), body);

async function applySample(): Promise<void> {
  expect((await post('/definitions', { source: sampleSource() })).status).toBe(201);
  await server.definitions.refresh();
}

/** XP of players, as the leaderboard role commits it; the view follows. */
async function play(scores: Readonly<Record<string, number>>): Promise<void> {
  const definition = await server.definitions.inForce(gameId, Date.now());
  if (definition === null) throw new Error('no definition');
  const events = Object.entries(scores).map(([playerId, deltaXp], index) =>
    roleEvent(definition, {
      id: `e-${String(index)}`,
      playerId,
      gameId,
      tsMs: Date.now(),
      payload: { deltaXp },
    }),
  );
  await commitBatch(server.db, events);
  await view.refresh(events);
  await view.check();
  for (const playerId of Object.keys(scores))
    await server.db.query('INSERT INTO player_profiles VALUES ($1, $2, $3, $3, 1) ON CONFLICT DO NOTHING', [
      gameId,
      playerId,
      Date.now(),
    ]);
}

const EVIL = ['=HYPERLINK("http://x")', '<img src=x onerror=alert(1)>', '+1,"2\n3'];
const nothing = encodeURIComponent;

describe('boards and players', () => {
  beforeEach(applySample);

  test('are read in pages, around a player and alone', async () => {
    await play(
      Object.fromEntries(Array.from({ length: 7 }, (_, index) => [`p-${String(index)}`, 100 - index])),
    );
    const top = await get('/boards/xp?window=all-time&limit=3');
    expect(top.body).toMatchObject({ total: 7, state: 'live', partition: null, stale: false });
    expect(rowsOf(top).map((one) => [one.rank, one.subject])).toEqual([
      [1, 'p-0'],
      [2, 'p-1'],
      [3, 'p-2'],
    ]);
    const next = await get(`/boards/xp?window=all-time&limit=3&cursor=${top.body.nextCursor}`);
    expect(rowsOf(next).map((one) => one.rank)).toEqual([4, 5, 6]);
    const around = await get('/boards/xp?window=all-time&around=p-5&limit=3');
    expect(rowsOf(around).map((one) => one.rank)).toEqual([5, 6, 7]);
    expect((await get('/boards/xp?window=all-time&subject=p-6')).body.items).toMatchObject([
      { rank: 7, score: 94 },
    ]);
    expect((await get('/boards/xp?around=p-1&subject=p-1')).status).toBe(400);
    expect((await get('/boards/none')).status).toBe(404);
    const cycles = await get('/boards/xp/cycles?window=all-time');
    expect(cycles.body.items).toMatchObject([{ window: 'all-time', state: 'live', finalAt: null }]);
    const places = await get('/players/p-3/boards');
    expect(
      rowsOf(places)
        .map((one) => [one.window, one.rank])
        .sort(),
    ).toEqual([
      ['all-time', 4],
      ['daily', 4],
      ['seasonal', 4],
      ['weekly', 4],
    ]);
  });

  test('hide a player from every board and restore the very same boards, the view included', async () => {
    await play({ 'p-1': 50, 'p-2': 40, 'p-3': 30 });
    const before = await get('/boards/xp?window=all-time');
    const hidden = await post('/players/p-2/hide', { reason: 'under review' });
    expect(hidden.body).toMatchObject({
      hidden: true,
      changed: true,
      changedBy: 'ann',
      reason: 'under review',
    });
    expect((await post('/players/p-2/hide', { reason: 'under review' })).body.changed).toBe(false);
    const without = await get('/boards/xp?window=all-time');
    expect(rowsOf(without).map((one) => [one.rank, one.subject])).toEqual([
      [1, 'p-1'],
      [2, 'p-3'],
    ]);
    expect((await get('/players?prefix=p-2')).body.items).toMatchObject([{ playerId: 'p-2', hidden: true }]);
    await post('/players/p-2/restore', { reason: 'clean' });
    expect((await get('/boards/xp?window=all-time')).body.items).toEqual(before.body.items);
    expect((await post('/players/nobody/hide', { reason: 'who?' })).status).toBe(404);
  });

  test('find players by the beginning of their id, by bytes, page by page', async () => {
    await play({ 'ann-1': 1, 'ann-2': 1, 'Ann-3': 1, 'ann-é': 1, bob: 1 });
    const first = await get('/players?prefix=ann-&limit=2');
    expect(rowsOf(first).map((one) => one.playerId)).toEqual(['ann-1', 'ann-2']);
    const second = await get(`/players?prefix=ann-&limit=2&cursor=${first.body.nextCursor}`);
    expect(rowsOf(second).map((one) => one.playerId)).toEqual(['ann-é']);
    expect(second.body.nextCursor).toBeNull();
    expect((await get('/players')).body.items).toHaveLength(5);
  });

  test('show the XP of a player by day, up to the total', async () => {
    const today = Date.now() - (Date.now() % 86_400_000);
    await server.db.query('INSERT INTO player_profiles VALUES ($1, $2, $3, $3, 3)', [gameId, 'p-1', today]);
    await server.db.query('INSERT INTO player_progress VALUES ($1, $2, 1000, 4, 1, 1, $3)', [
      gameId,
      'p-1',
      today,
    ]);
    for (const [days, xp] of [
      [0, 40],
      [0, 2],
      [3, 100],
    ] as const)
      await server.db.query(
        `INSERT INTO progress_events VALUES ($1, 'p-1', $2, '2026-11-20', gen_random_uuid(), $3, 1)`,
        [gameId, today - days * 86_400_000, xp],
      );
    const series = await get('/players/p-1/xp/series?days=7');
    const day = (days: number): string => new Date(today - days * 86_400_000).toISOString().slice(0, 10);
    expect(series.body).toEqual({
      startsAtXp: 858,
      truncated: false,
      points: [
        { day: day(3), deltaXp: 100, totalXp: 958, events: 1 },
        { day: day(0), deltaXp: 42, totalXp: 1000, events: 2 },
      ],
    });
    expect((await get('/players/p-1')).body).toMatchObject({
      progress: { totalXp: 1000, level: 4, levelStartsAtXp: 900, nextLevelAtXp: 1600 },
      counts: { receipts: 0, findings: 0, openCases: 0 },
    });
    expect((await get('/players/p-1/xp?limit=1')).body.items).toHaveLength(1);
    expect((await get('/players/nobody')).status).toBe(404);
  });

  test('row 71: keep names that are markup or formulas as the text that they are, in JSON and in CSV', async () => {
    await play(Object.fromEntries(EVIL.map((name, index) => [name, 10 - index])));
    const board = await get('/boards/xp?window=all-time');
    expect(board.headers.get('content-type')).toContain('application/json');
    expect(board.headers.get('x-content-type-options')).toBe('nosniff');
    expect(rowsOf(board).map((one) => one.subject)).toEqual(EVIL);
    for (const name of EVIL)
      expect((await get(`/players/${nothing(name)}`)).body.profile.playerId).toBe(name);
    const csv = await get('/boards/xp/export?window=all-time');
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(csv.headers.get('content-disposition')).toMatch(/^attachment; filename="[a-z0-9.-]+\.csv"$/);
    const lines = csv.text.split('\r\n');
    expect(lines[0]).toBe('"rank","subject","score","reached_at"');
    expect(lines[1]).toMatch(/^1,"'=HYPERLINK\(""http:\/\/x""\)",10,"/);
    expect(lines[2]).toMatch(/^2,"<img src=x onerror=alert\(1\)>",9,"/);
    expect(lines[3]).toMatch(/^3,"'\+1,""2\n3",8,"/);
  });

  test('row 71: a player whose name is a way up in an address is asked for with a comma before it', async () => {
    await play({ '.': 3, '..': 2, ',..': 1 });
    for (const [asked, name] of [
      [',.', '.'],
      [',..', '..'],
      ['%2C..', ',..'],
    ]) {
      expect((await get(`/players/${asked}`)).body.profile.playerId).toBe(name);
      expect((await get(`/players/${asked}/boards`)).body.items[0]).toMatchObject({ board: 'xp' });
    }
    expect((await get('/players?prefix=,..')).body.items).toMatchObject([{ playerId: ',..' }]);
  });

  test('export as many rows as asked, over pages, each once', async () => {
    await server.db.query(
      `INSERT INTO board_scores SELECT $1, 'xp', 'all-time:all', '', 'p-' || n, n, 1, 'e', 1, 1 FROM generate_series(1, 2500) n`,
      [gameId],
    );
    await server.db.query(
      `INSERT INTO board_cycles (game_id, board, cycle, partition, definition_version) VALUES ($1, 'xp', 'all-time:all', '', 1)`,
      [gameId],
    );
    const rows = async (limit: number): Promise<string[]> =>
      (await get(`/boards/xp/export?window=all-time&limit=${String(limit)}`)).text.split('\r\n').slice(1, -1);
    const all = await rows(5_000);
    expect([all.length, new Set(all).size]).toEqual([2_500, 2_500]);
    expect((await rows(1_200)).at(-1)).toMatch(/^1200,"p-1301",1301,/);
  });

  test('have the view of a cycle made anew, while the board goes on to be read', async () => {
    await play({ 'p-1': 5 });
    const rebuilt = await post('/boards/xp/rebuild', { window: 'all-time' });
    expect(rebuilt.status).toBe(202);
    expect(rebuilt.body.epoch % 2).toBe(1);
    expect((await get('/boards/xp?window=all-time')).body.items).toMatchObject([{ rank: 1, score: 5 }]);
    await view.check();
    expect((await get('/boards/xp?window=all-time')).body.items).toMatchObject([{ rank: 1, score: 5 }]);
    expect((await post('/boards/xp/rebuild', { window: 'daily', cycle: '2001-01-01' })).status).toBe(404);
  });
});

describe('receipts', () => {
  async function issue(cause = 'boss:hydra:trophy', tsMs = 1000): Promise<string> {
    const id = receiptIdOf(gameId, 'p-1', cause);
    const signer = createReceiptSigner({ issuer: 'fairtally', keys: server.receiptKeys });
    const grant = {
      sub: 'p-1',
      jti: id,
      iat: 1,
      reward: 'trophy',
      amount: 1,
      cause,
      src: 'server',
    } as const;
    const { kid, jws } = await signer.sign(gameId, grant);
    await server.db.query(
      `INSERT INTO receipts (game_id, player_id, grant_key, receipt_id, reward, amount, cause, ts_ms, event_id, src, kid, jws, definition_version)
       VALUES ($1, 'p-1', $5, $2, 'trophy', 1, $5, $6, 'e-1', 'server', $3, $4, 1)`,
      [gameId, id, kid, jws, cause, tsMs],
    );
    return id;
  }

  test('are looked up, checked and revoked once; what is revoked stands in the list that clients read', async () => {
    const id = await issue();
    const found = await get(`/receipts/${id}`);
    expect(found.body).toMatchObject({ receiptId: id, playerId: 'p-1', revokedAt: null });
    expect((await post('/receipts/verify', { jws: found.body.jws })).body).toMatchObject({
      valid: true,
      code: null,
      claims: { sub: 'p-1', aud: `game:${gameId}` },
    });
    const revoked = await post(`/receipts/${id}/revoke`, { reason: 'bought with a stolen card' });
    expect(revoked.body).toMatchObject({ revokedBy: 'ann', revokedReason: 'bought with a stolen card' });
    expect((await post(`/receipts/${id}/revoke`, { reason: 'again' })).body.code).toBe('receipt_revoked');
    expect((await post('/receipts/verify', { jws: found.body.jws })).body).toMatchObject({
      valid: false,
      code: 'revoked',
    });
    const reads = createProgressionReads(server.db, server.definitions);
    expect((await reads.revoked(gameId, { limit: 10, cursor: null })).items).toMatchObject([
      { receiptId: id },
    ]);
    expect((await get('/revoked-receipts')).body.items).toMatchObject([{ receiptId: id }]);
    expect((await get('/players/p-1/receipts')).body.items).toMatchObject([{ receiptId: id }]);
  });

  test('of the whole game come in pages, newest first, and those of one moment each once', async () => {
    const causes = [1000, 3000, 2000, 3000, 3000].map(
      (tsMs, number) => [`drop:${String(number)}`, tsMs] as const,
    );
    const issued = [];
    for (const [cause, tsMs] of causes) issued.push({ id: await issue(cause, tsMs), tsMs });
    const expected = issued.toSorted((a, b) => b.tsMs - a.tsMs || (a.id < b.id ? 1 : -1)).map(({ id }) => id);
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const page = await get(`/receipts?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      const { items, nextCursor } = page.body as {
        items: { receiptId: string }[];
        nextCursor: string | null;
      };
      seen.push(...items.map(({ receiptId }) => receiptId));
      cursor = nextCursor;
    }
    expect(seen).toEqual(expected);
    expect((await get('/receipts?cursor=nonsense')).status).toBe(400);
  });

  test('row 69: of another game are not found, and say nothing when they are checked', async () => {
    const id = await issue();
    const { jws } = (await get(`/receipts/${id}`)).body;
    gameId = `${gameId}-b`;
    await server.addGame(gameId);
    expect((await get(`/receipts/${id}`)).status).toBe(404);
    expect((await get('/receipts')).body.items).toEqual([]);
    expect((await post(`/receipts/${id}/revoke`, { reason: 'not mine' })).status).toBe(404);
    expect((await post('/receipts/verify', { jws })).body).toEqual({
      valid: false,
      code: 'wrong_claims',
      revoked: null,
      claims: null,
    });
  });
});
