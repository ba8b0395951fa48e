import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createRefusalStore } from '../../refusals/postgres.js';
import type { ToldRefusal } from '../../refusals/port.js';
import type { Answered, Ask } from '../../testkit/admin-server.js';
import { rowsOf, startResourceServer, type ResourceServer } from './fixtures.js';

let server: ResourceServer;
let ask: Ask;
let gameId: string;
let games = 0;

beforeAll(async () => {
  server = await startResourceServer(null);
  ({ ask } = await server.signIn('ann', {}, true));
});
afterAll(() => server.close());
beforeEach(async () => {
  gameId = `game-${String((games += 1))}`;
  await server.addGame(gameId);
});

const get = (path: string): Promise<Answered> => ask('GET', `/admin/v1/games/${gameId}${path}`);

test('the event debugger shows what became of the last events of a player or of a key, role by role', async () => {
  await server.db.query("SELECT ensure_month('2026-11-20')");
  const [event] = await server.db.query<{ identity: string }>(
    `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                         definition_version, content_hash, payload, context)
     VALUES ('2026-11-20', gen_random_uuid(), $1, 'p-1', 'e-1', 'progression', 5, 6, 'client', 'key-1', 1, '\\x01',
             '{"deltaXp": 5}', '{"build": "1.2", "late": true}') RETURNING identity`,
    [gameId],
  );
  for (const [role, version] of [
    ['archive', 1],
    ['fairness', 0],
  ] as const)
    await server.db.query(`INSERT INTO inbox VALUES ($1, '2026-11-20', $2, $3, 1, '\\x01', $4)`, [
      role,
      event?.identity,
      gameId,
      version,
    ]);
  const seen = {
    outcome: 'accepted',
    eventId: 'e-1',
    payload: { deltaXp: 5 },
    build: '1.2',
    late: true,
    roles: [
      { role: 'archive', state: 'applied' },
      { role: 'progression', state: 'waiting' },
      { role: 'leaderboard', state: 'waiting' },
      { role: 'fairness', state: 'barred' },
    ],
  };
  expect(rowsOf(await get('/events?playerId=p-1'))).toMatchObject([seen]);
  expect(rowsOf(await get('/events?keyId=key-1'))).toMatchObject([seen]);
  expect(rowsOf(await get('/events?playerId=p-2'))).toEqual([]);
  expect((await get('/events')).status).toBe(400);
});

test('events of a key are looked for where it was used last, and not of one that was never used', async () => {
  await server.db.query("SELECT ensure_month('2026-11-20')");
  const keys = ['used', 'silent', 'unused'];
  await server.db.query(
    `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                         definition_version, content_hash, payload, archived_at)
     SELECT '2026-11-20', gen_random_uuid(), $1, 'p-1', 'e-1', 'progression', 5, 6, 'client', key, 1, '\\x01', '{}', now() - ago
       FROM (VALUES ('used', interval '20 minutes'), ('silent', '3 days'), ('unused', '20 minutes')) AS of (key, ago)`,
    [gameId],
  );
  await server.db.query(
    `INSERT INTO key_uses SELECT $1, key, extract(epoch FROM now() - ago) * 1000
       FROM (VALUES ('used', interval '0'), ('silent', '3 days 10 seconds')) AS used (key, ago)`,
    [gameId],
  );
  const found = async (): Promise<number[]> =>
    Promise.all(keys.map(async (key) => rowsOf(await get(`/events?keyId=${key}`)).length));
  expect(await found()).toEqual([1, 0, 1]);
  await server.db.query('INSERT INTO pipeline_rolled_up (through) VALUES (now())');
  expect(await found()).toEqual([1, 1, 0]);
  await server.db.query("UPDATE events SET archived_at = now() WHERE game_id = $1 AND key_id = 'unused'", [
    gameId,
  ]);
  expect(await found()).toEqual([1, 1, 1]);
});

describe('refused events in the debugger', () => {
  const NOON = Date.UTC(2026, 10, 20, 12);
  const refusal = (over: Partial<ToldRefusal>): ToldRefusal => ({
    ...{
      gameId,
      isVerified: true,
      code: 'invalid_payload',
      build: '1.4',
      atMs: NOON,
      keyId: 'key-1',
      playerId: 'p-1',
    },
    ...{
      eventId: 'e-1',
      type: 'progression',
      tsMs: 5,
      src: 'client',
      platform: 'ios',
      pointer: '/payload/deltaXp',
    },
    ...{ detail: 'must be <= 100', snippet: '{"deltaXp": 5000}', ...over },
  });
  const stranger: Partial<ToldRefusal> = {
    ...{
      isVerified: false,
      code: 'invalid_signature',
      playerId: null,
      eventId: null,
      type: null,
      tsMs: null,
      src: null,
    },
    ...{ build: null, platform: null, pointer: null, detail: null, snippet: null },
  };
  const write = (refusals: readonly ToldRefusal[]): Promise<void> =>
    createRefusalStore(server.db).write(refusals, []);

  test('stand beside the accepted ones, the latest first, with why and what was sent', async () => {
    await server.db.query("SELECT ensure_month('2026-11-20')");
    await server.db.query(
      `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                           definition_version, content_hash, payload, archived_at)
       SELECT '2026-11-20', gen_random_uuid(), $1, 'p-1', 'a-' || n, 'progression', n, $2::bigint + n, 'client', 'key-1', 1, '\\x01', '{}', now()
         FROM generate_series(0, 2, 2) n`,
      [gameId, NOON],
    );
    await write([refusal({ atMs: NOON + 1 }), refusal({ ...stranger, atMs: NOON + 3 })]);
    const seen = {
      ...{
        outcome: 'refused',
        receivedAt: '2026-11-20T12:00:00.001Z',
        at: '1970-01-01T00:00:00.005Z',
        eventId: 'e-1',
      },
      ...{
        type: 'progression',
        playerId: 'p-1',
        keyId: 'key-1',
        src: 'client',
        build: '1.4',
        platform: 'ios',
      },
      ...{ code: 'invalid_payload', pointer: '/payload/deltaXp', payload: null, verified: true, late: false },
      detail: 'The payload is not what its event type asks: must be <= 100',
      ...{ snippet: '{"deltaXp": 5000}', mapped: true, replay: false, definitionVersion: null, roles: [] },
    };
    expect(rowsOf(await get('/events?playerId=p-1'))).toMatchObject([
      { eventId: 'a-2' },
      seen,
      { eventId: 'a-0' },
    ]);
    expect(rowsOf(await get('/events?playerId=p-1&outcome=refused'))).toEqual([seen]);
    expect(rowsOf(await get('/events?playerId=p-1&outcome=accepted'))).toHaveLength(2);
    const byKey = rowsOf(await get('/events?keyId=key-1'));
    expect(byKey.map(({ eventId }) => eventId)).toEqual([null, 'a-2', 'e-1', 'a-0']);
    expect(byKey[0]).toMatchObject({
      ...{ verified: false, keyId: 'key-1', playerId: null, snippet: null },
      detail: expect.stringMatching(/^The signature is not valid\. Sign the raw bytes/),
    });
  });

  test('are a hundred at most, of which strangers have twenty; none is of another game', async () => {
    await write([
      ...Array.from({ length: 120 }, (_, n) => refusal({ atMs: NOON + n, eventId: `e-${String(n)}` })),
      ...Array.from({ length: 30 }, (_, n) => refusal({ ...stranger, atMs: NOON + 1_000 + n })),
    ]);
    const byKey = rowsOf(await get('/events?keyId=key-1'));
    expect(byKey).toHaveLength(100);
    expect(byKey.filter(({ verified }) => verified === false)).toHaveLength(20);
    expect(byKey.at(-1)).toMatchObject({ eventId: 'e-40' });
    expect(rowsOf(await get('/events?playerId=p-1'))).toHaveLength(100);
    await server.addGame((gameId = `${gameId}-b`));
    expect(rowsOf(await get('/events?keyId=key-1'))).toEqual([]);
    expect(rowsOf(await get('/events?playerId=p-1'))).toEqual([]);
  });
});
