import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Answered, Ask } from '../../testkit/admin-server.js';
import { auditOf, rowsOf, sampleSource, startResourceServer, type ResourceServer } from './fixtures.js';
import { rollUpMinutes } from './pipeline-minutes.postgres.js';

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

const at = (path: string): string => `/admin/v1/games/${gameId}${path}`;
const get = (path: string): Promise<Answered> => ask('GET', at(path));
const post = (path: string, body: unknown): Promise<Answered> => ask('POST', at(path), body);

async function applySample(): Promise<void> {
  expect((await post('/definitions', { source: sampleSource() })).status).toBe(201);
  await server.definitions.refresh();
}

describe('definitions', () => {
  test('are planned, applied once, and read again as they were', async () => {
    const wrong = await post('/definitions/plan', { source: 'events: 5' });
    expect([wrong.status, wrong.body.canApply]).toEqual([200, false]);
    expect(wrong.body.faults[0]).toMatchObject({ path: 'events', line: 1 });
    expect((await post('/definitions', { source: 'events: 5' })).body.code).toBe('definition_invalid');
    await applySample();
    expect((await post('/definitions', { source: sampleSource() })).body.code).toBe('definition_unchanged');
    const next = sampleSource((yaml) => yaml.replace('grace: 24h', 'grace: 1h'));
    const plan = await post('/definitions/plan', { source: next });
    expect(plan.body).toMatchObject({
      canApply: true,
      against: { version: 1 },
      againstSource: sampleSource(),
      changes: [{ change: 'changed', what: 'game', keys: ['grace'] }],
    });
    expect((await post('/definitions', { source: next, expectedVersion: 0 })).body.code).toBe(
      'definition_moved',
    );
    const mixing = await post('/definitions', {
      source: sampleSource((yaml) => yaml.replace('aggregate: sum', 'aggregate: best')),
    });
    expect([mixing.status, mixing.body.code]).toEqual([422, 'definition_incompatible']);
    const past = await post('/definitions', { source: next, effectiveFrom: '2020-01-01T00:00:00Z' });
    expect(past.body.code).toBe('definition_in_the_past');
    expect((await post('/definitions', { source: next, expectedVersion: 1 })).body.version).toBe(2);
    const listed = await get('/definitions');
    expect(rowsOf(listed).map((one) => [one.version, one.state])).toEqual([
      [2, 'in_force'],
      [1, 'past'],
    ]);
    expect((await get('/definitions/2')).body.source).toBe(next);
    expect((await get('/definitions/3')).status).toBe(404);
  });

  test('tell what a game has, in its own page and in the list of games', async () => {
    await applySample();
    expect((await get('')).body).toMatchObject({
      gameId,
      role: 'admin',
      definitionVersion: 1,
      boards: ['xp', 'boss-time'],
    });
    const { body } = await ask('GET', '/admin/v1/games');
    expect(body.items).toContainEqual({ gameId, role: 'admin', definitionVersion: 1 });
  });
});

describe('signing keys', () => {
  test('row 72: are rotated with an overlap, retired by a date and revoked; a secret is shown once and logged never', async () => {
    const made = await post('/keys', { scopes: ['ingest'], keyId: `${gameId}-one` });
    expect([made.status, made.headers.get('cache-control')]).toEqual([201, 'no-store']);
    expect(made.body.key).toMatchObject({ keyId: `${gameId}-one`, state: 'active', lastUsedAt: null });
    expect((await post('/keys', { scopes: ['ingest'], keyId: `${gameId}-one` })).body.code).toBe(
      'key_exists',
    );
    const rotated = await post(`/keys/${gameId}-one/rotate`, { overlapSeconds: 3600 });
    expect(rotated.status).toBe(201);
    expect(rotated.body.key.keyId).not.toBe(`${gameId}-one`);
    const listed = await get('/keys');
    const states = Object.fromEntries(rowsOf(listed).map((one) => [one.keyId, one.state]));
    expect(states).toEqual({ [`${gameId}-one`]: 'retiring', [rotated.body.key.keyId]: 'active' });
    expect((await post(`/keys/${gameId}-one/retire`, {})).body.state).toBe('retired');
    expect((await post(`/keys/${gameId}-one/rotate`, { overlapSeconds: 1 })).body.code).toBe('key_not_valid');
    expect((await post(`/keys/${rotated.body.key.keyId}/revoke`, { reason: 'leaked' })).body.state).toBe(
      'revoked',
    );
    const logged = await server.db.query('SELECT * FROM admin_audit WHERE game_id = $1', [gameId]);
    expect(logged).toHaveLength(4);
    for (const secret of [made.body.secret, rotated.body.secret]) {
      expect(secret.length).toBeGreaterThan(20);
      expect(JSON.stringify(logged) + listed.text).not.toContain(secret);
    }
  });

  test('end however many came after them', async () => {
    await post('/keys', { scopes: ['ingest'], keyId: `${gameId}-old` });
    await server.db.query(
      `INSERT INTO signing_keys (key_id, game_id, secret, scopes, schemes, trust, debug, not_before, created_at)
       SELECT $1 || '-' || n, $1, '', scopes, schemes, trust, debug, not_before, now() + interval '1 hour'
         FROM signing_keys, generate_series(1, 1000) AS n WHERE key_id = $1 || '-old'`,
      [gameId],
    );
    expect((await post(`/keys/${gameId}-old/retire`, {})).body.state).toBe('retired');
    expect((await post(`/keys/${gameId}-old/revoke`, { reason: 'leaked' })).body.state).toBe('revoked');
  });

  test('row 69: of another game look as if there were none', async () => {
    await post('/keys', { scopes: ['ingest'], keyId: `${gameId}-mine` });
    const mine = gameId;
    gameId = `${mine}-b`;
    await server.addGame(gameId);
    for (const [change, body] of [
      ['rotate', { overlapSeconds: 0 }],
      ['retire', {}],
      ['revoke', { reason: 'not mine' }],
    ] as const)
      expect((await post(`/keys/${mine}-mine/${change}`, body)).status).toBe(404);
    expect((await get('/keys')).body.items).toEqual([]);
    expect((await ask('GET', `/admin/v1/games/${mine}/keys`)).body.items[0].state).toBe('active');
  });
});

describe('dead letters', () => {
  async function die(count: number, game = gameId, reason = 'handler_error'): Promise<void> {
    await server.db.query("SELECT ensure_month('2026-11-20')");
    await server.db.query(
      `INSERT INTO dead_letters (role, game_id, player_id, event_id, event_type, dedupe_day, identity, content_hash, transport_position,
                                 reason, detail, attempts, body, headers, code_version)
       SELECT 'progression', $1, 'p-' || n, 'e-' || n, 'progression', '2026-11-20', gen_random_uuid(), '\\x00', n::text, $3,
              'it failed', 3, '{"a":1}', '{}', '0.1.0' FROM generate_series(1, $2::int) n`,
      [game, count, reason],
    );
  }

  test('are listed, shown, sent again after a dry run, and followed', async () => {
    await die(3);
    await die(1, gameId, 'event_too_old');
    const listed = await get('/dead-letters?reason=handler_error&limit=2');
    expect(rowsOf(listed).map((one) => one.playerId)).toEqual(['p-3', 'p-2']);
    const rest = await get(`/dead-letters?reason=handler_error&limit=2&cursor=${listed.body.nextCursor}`);
    expect(rest.body.items).toHaveLength(1);
    const { letterId } = rest.body.items[0];
    expect((await get(`/dead-letters/${letterId}`)).body).toMatchObject({ body: '{"a":1}', action: null });
    const select = { reason: 'handler_error' };
    const dry = await post('/dead-letters/redrive', { dryRun: true, reason: 'fixed', select });
    expect(dry.body).toEqual({ dryRun: true, letters: 3, sent: 0, actionId: null, truncated: false });
    const sent = await post('/dead-letters/redrive', { dryRun: false, reason: 'fixed', select });
    expect(sent.body).toMatchObject({ letters: 3, sent: 3 });
    expect((await get(`/dead-letters/actions/${sent.body.actionId}`)).body).toMatchObject({
      pending: 3,
      done: 0,
      by: 'ann',
      reason: 'fixed',
    });
    expect((await get('/dead-letters/tally')).body.items).toEqual([
      { role: 'progression', reason: 'event_too_old', state: 'open', letters: 1 },
      { role: 'progression', reason: 'handler_error', state: 'redriven', letters: 3 },
    ]);
    expect(
      (await post('/dead-letters/redrive', { dryRun: false, reason: 'all', select: {} })).body.code,
    ).toBe('nothing_selected');
  });

  test('are dropped for good: their identities are barred', async () => {
    await die(2);
    const select = { role: 'progression' };
    expect((await post('/dead-letters/drop', { dryRun: true, reason: 'no use', select })).body.letters).toBe(
      2,
    );
    const dropped = await post('/dead-letters/drop', { dryRun: false, reason: 'no use', select });
    expect(dropped.body).toEqual({ dryRun: false, letters: 2, dropped: 2, applied: 0, truncated: false });
    const bars = await server.db.query('SELECT definition_version AS v FROM inbox WHERE game_id = $1', [
      gameId,
    ]);
    expect(bars).toEqual([{ v: 0 }, { v: 0 }]);
  });

  test('row 69: of another game are neither seen nor decided about', async () => {
    await die(1);
    const [{ letterId }] = (await get('/dead-letters')).body.items;
    const mine = gameId;
    gameId = `${mine}-b`;
    await server.addGame(gameId);
    expect((await get('/dead-letters')).body.items).toEqual([]);
    expect((await get(`/dead-letters/${letterId}`)).status).toBe(404);
    for (const decision of ['redrive', 'drop']) {
      const body = { dryRun: false, reason: 'not mine', select: { letterIds: [letterId] } };
      expect((await post(`/dead-letters/${decision}`, body)).body.code).toBe('nothing_taken');
    }
    expect(await auditOf(server, gameId)).toEqual([]);
    expect(await server.db.query('SELECT 1 FROM operator_actions WHERE game_id = $1', [gameId])).toEqual([]);
    const [row] = await server.db.query('SELECT state FROM dead_letters WHERE id = $1', [letterId]);
    expect(row).toEqual({ state: 'open' });
  });

  test('row 69: the API can bar an identity and can touch no event that took effect', async () => {
    await server.db.query("SELECT ensure_month('2026-11-20')");
    await server.db.query(
      `INSERT INTO inbox VALUES ('progression', '2026-11-20', gen_random_uuid(), $1, 1, '\\x00', 1)`,
      [gameId],
    );
    const inGame = <T>(work: string): Promise<T[]> =>
      server.apiDb.transaction(async (sql) => {
        await sql.query("SELECT set_config('app.game', $1, true)", [gameId]);
        return sql.query(work) as Promise<T[]>;
      });
    expect(await inGame('DELETE FROM inbox RETURNING 1')).toEqual([]);
    await expect(
      inGame(
        `INSERT INTO inbox VALUES ('fairness', '2026-11-20', gen_random_uuid(), '${gameId}', 1, '\\x00', 1)`,
      ),
    ).rejects.toThrow();
  });
});

describe('the pipeline', () => {
  test('is shown with its rate, its roles, its law and its day, counted by the minute', async () => {
    await applySample();
    await server.db.query("SELECT ensure_month('2026-11-20')");
    await server.db.query(
      `INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                           definition_version, content_hash, payload, archived_at)
       SELECT '2026-11-20', gen_random_uuid(), $1, 'p', 'e', 'progression', 1, (extract(epoch FROM at) * 1000)::bigint - 500, 'server',
              $1 || '-key', 1, '', '{}', at
         FROM unnest(ARRAY[now() - interval '0 seconds', now() - interval '20 minutes', now() - interval '20 minutes',
                           now() - interval '3 hours']) AS at`,
      [gameId],
    );
    await server.db.query(
      `INSERT INTO role_counters VALUES ('progression', 1, 5, 3, 1, 0, 1) ON CONFLICT DO NOTHING`,
    );
    await post('/keys', { scopes: ['ingest'], keyId: `${gameId}-key` });
    while (await rollUpMinutes(server.db));
    const state = await get('/pipeline');
    expect(state.body).toMatchObject({
      status: 'healthy',
      bus: 'postgres',
      definitionVersion: 1,
      rate: { lastMinute: 1, lastHour: 3 },
      conservation: { holds: true },
      view: { state: 'none' },
    });
    const roles = (state.body as { roles: { role: string }[] }).roles;
    expect(roles.find(({ role }) => role === 'progression')).toMatchObject({
      waiting: 2,
      waitingIsExact: true,
      delivered: 5,
      holds: true,
    });
    const series = await get('/pipeline/series');
    const { points } = series.body as { points: { accepted: number; maxDelaySeconds: number | null }[] };
    expect(points).toHaveLength(288);
    const busy = points.filter(({ accepted }) => accepted > 0);
    expect(busy.map(({ accepted }) => accepted).sort()).toEqual([1, 1, 2]);
    expect(busy.find(({ accepted }) => accepted === 2)?.maxDelaySeconds).toBeCloseTo(0.5, 2);
    // The key's last use is told by the minutes that are counted.
    const [key] = (await get('/keys')).body.items;
    expect(Date.now() - Date.parse(key.lastUsedAt)).toBeGreaterThan(19 * 60_000);
  });

  test('tells who is not admin of all games nothing that is counted over all of them', async () => {
    await server.db.query(
      `INSERT INTO role_counters VALUES ('archive', 1, 5, 3, 1, 0, 1) ON CONFLICT DO NOTHING`,
    );
    const own = await server.signIn(`viewer-of-${gameId}`, { [gameId]: 'viewer' });
    const { status, body } = await own.ask('GET', at('/pipeline'));
    expect([status, body.conservation]).toEqual([200, null]);
    const untold = {
      waiting: null,
      delivered: null,
      applied: null,
      duplicate: null,
      conflict: null,
      dead: null,
    };
    for (const line of body.roles) expect(line).toMatchObject({ ...untold, holds: true });
    expect((await get('/pipeline')).body.conservation).toMatchObject({ holds: true, archived: 3 });
  });

  test('tells what was refused, by reason and build in the last hour, and by its day', async () => {
    await server.db.query(
      `INSERT INTO refusal_minutes
       SELECT game, date_trunc('minute', now() - ago::interval), code, build, events
         FROM (VALUES ($1, '1 minute', 'invalid_ts', '1.4', 3), ($1, '30 minutes', 'invalid_ts', '1.4', 4),
                      ($1, '1 minute', 'invalid_ts', 'other', 1), ($1, '1 minute', 'invalid_signature', '', 20),
                      ($1, '3 hours', 'too_deep', '', 5), ($1, '25 hours', 'too_deep', '', 5),
                      ($1 || '-b', '1 minute', 'too_deep', '', 9)) AS v (game, ago, code, build, events)`,
      [gameId],
    );
    expect((await get('/pipeline')).body.refusals).toEqual({
      lastHour: 28,
      byReason: [
        { code: 'invalid_signature', build: null, events: 20 },
        { code: 'invalid_ts', build: '1.4', events: 7 },
        { code: 'invalid_ts', build: 'other', events: 1 },
      ],
    });
    const { points } = (await get('/pipeline/series')).body as { points: { refused: number }[] };
    expect(points.reduce((sum, { refused }) => sum + refused, 0)).toBe(33);
  });

  test('tells what roles lack of the archive, once they were compared with it', async () => {
    const driftOf = async (): Promise<unknown> => (await get('/pipeline')).body.drift;
    expect(await driftOf()).toEqual({ isKnown: false, comparedThrough: null, missing: null });
    await server.db.query(
      `INSERT INTO reconciled SELECT role, '2026-11-20T12:00:00Z' FROM unnest(ARRAY['progression', 'leaderboard', 'fairness']) AS role`,
    );
    const known = { isKnown: true, comparedThrough: '2026-11-20T12:00:00.000Z' };
    const mine = gameId;
    await server.addGame((gameId = `${mine}-b`));
    expect(await driftOf()).toEqual({ ...known, missing: 0 });
    await server.db.query(
      `WITH action AS (
         INSERT INTO operator_actions (action, actor, why, scope) VALUES ('reconcile', 'worker', 'it lacks', '{}') RETURNING id)
       INSERT INTO resubmissions (role, game_id, player_id, position, body, headers, letter_id, action_id, state)
       SELECT 'fairness', $1, 'p', 'x', '', '{}', letter, action.id, state
         FROM action, (VALUES (null, 'pending'), (null, 'pending'), (7, 'pending'), (null, 'done')) AS v (letter, state)`,
      [`${mine}-c`],
    );
    await server.addGame((gameId = `${mine}-c`));
    expect(await driftOf()).toEqual({ ...known, missing: 2 });
    await server.db.query('DELETE FROM reconciled');
  });

  test('is degraded while a letter is open', async () => {
    await server.db.query(
      `INSERT INTO dead_letters (role, game_id, transport_position, reason, detail, attempts, body, headers, code_version)
       VALUES ('archive', $1, $1, 'unreadable', '', 1, '', '{}', '0')`,
      [gameId],
    );
    const { body } = await get('/pipeline');
    expect([body.status, body.deadLetters.open, body.definitionVersion]).toEqual(['degraded', 1, null]);
  });
});
