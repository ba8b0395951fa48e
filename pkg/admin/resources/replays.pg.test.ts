import { request, type ClientRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createSignedClient } from '../../client/signed-client.js';
import { createKeyRing, type RefreshingKeyRing } from '../../games/key-ring/postgres.js';
import { secretOfKey } from '../../games/keys/postgres.js';
import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { uuid7 } from '../../kernel/uuid7.js';
import { createReplayQueue, type ReplayJob, type ReplayQueue } from '../../replay/jobs.postgres.js';
import { runReplays, type ReplayRunnerParts } from '../../replay/run-jobs.js';
import type { Answered, Ask, SignedInTester } from '../../testkit/admin-server.js';
import { eventually } from '../../testkit/eventually.js';
import { startIngestServer, type IngestServer } from '../../testkit/ingest-server.js';
import { quietLogger } from '../../testkit/quiet.js';
import { auditOf, rowsOf, sampleSource, startResourceServer, type ResourceServer } from './fixtures.js';

let server: ResourceServer;
let keyRing: RefreshingKeyRing;
let gateway: IngestServer;
let ann: SignedInTester;
let ask: Ask;
let gameId: string;
let games = 0;

beforeAll(async () => {
  server = await startResourceServer(null);
  ann = await server.signIn('ann', {}, true);
  ({ ask } = ann);
  const { db: database, sealer } = server;
  keyRing = createKeyRing({
    database,
    sealer,
    clock: systemClock,
    onOverfull: () => undefined,
    onUnreadable: () => undefined,
  });
  gateway = await startIngestServer({
    deps: { keyRing, definitions: server.definitions, clock: systemClock },
    limits: { addressRate: null, keyRate: null },
  });
});
const stops: AbortController[] = [];
afterAll(async () => {
  for (const one of stops) one.abort(); // of a test that failed
  await gateway.close();
  await server.close();
});
beforeEach(async () => {
  gameId = `game-${String((games += 1))}`;
  await server.addGame(gameId);
  const applied = await ask('POST', at('/definitions'), { source: sampleSource() });
  expect(applied.status).toBe(201);
  await server.definitions.refresh();
});

const at = (path: string): string => `/admin/v1/games/${gameId}${path}`;
const post = (path: string, body?: unknown): Promise<Answered> => ask('POST', at(path), body);
const jobAt = async (jobId: string): Promise<Answered['body']> =>
  (await ask('GET', at(`/replays/${jobId}`))).body;

/** As many events as asked, of a few players, from an hour ago on. */
const recordingOf = (events: number): string[] =>
  Array.from({ length: events }, (_, index) =>
    JSON.stringify({
      id: `${gameId}-${String(index)}`,
      type: 'progression',
      playerId: `p-${String(index % 7)}`,
      ts: systemClock.now() - 3_600_000 + index,
      payload: { deltaXp: 5, activity: 'quest' },
    }),
  );

async function upload(
  lines: readonly string[],
  type = 'application/x-ndjson',
  name = 'evening',
): Promise<Answered> {
  const response = await fetch(`${server.url}${at(`/replays?name=${encodeURIComponent(name)}`)}`, {
    method: 'POST',
    headers: { 'X-Fairtally-Request': '1', 'Content-Type': type, Authorization: `Bearer ${ann.accessToken}` },
    body: lines.join('\n'),
  });
  return { status: response.status, headers: response.headers, text: '', body: await response.json() };
}

/** A recording of the longest there may be, of which the beginning alone is sent. */
function beginUpload({ accessToken }: SignedInTester): ClientRequest {
  const headers = {
    'X-Fairtally-Request': '1',
    'Content-Type': 'application/x-ndjson',
    Authorization: `Bearer ${accessToken}`,
    'Content-Length': String(16 * 1024 * 1024),
  };
  const upload = request(`${server.url}${at('/replays?name=slow')}`, { method: 'POST', headers });
  upload.on('error', () => undefined); // it is broken off
  upload.write('{');
  return upload;
}

const start = (jobId: string, body: object = {}): Promise<Answered> =>
  post(`/replays/${jobId}/start`, { reason: 'a test', ...body });

const queueOf = (runner: string): ReplayQueue => createReplayQueue(server.db, runner);

/** A process that sends replays, until it is stopped. */
function run(over: Partial<ReplayRunnerParts> = {}): () => Promise<void> {
  const stopping = new AbortController();
  stops.push(stopping);
  const running = runReplays(
    {
      queue: queueOf('runner'),
      clientOf: async ({ keyId }) =>
        createSignedClient({
          url: `http://127.0.0.1:${String(gateway.port)}`,
          keyId: keyId ?? '',
          secret: await secretOfKey(server.db, server.sealer, keyId ?? ''),
          clock: systemClock,
        }),
      clock: systemClock,
      random: systemRandom,
      log: quietLogger,
      leaseMs: 60_000,
      ...over,
    },
    stopping.signal,
  );
  return async () => {
    stopping.abort();
    await running;
  };
}

const sent = (): ReturnType<IngestServer['events']> =>
  gateway.events().filter((event) => event.gameId === gameId);
const forever = new Promise<never>(() => undefined);

test('recordings have room for two of the longest at once, of two people, and whoever comes then is told to come again', async () => {
  const others = await Promise.all(['ben', 'cyd'].map((name) => server.signIn(name, {}, true)));
  const begun = others.map(beginUpload);
  const [line = ''] = recordingOf(1);
  const statusOf = async (type: string): Promise<number> => (await upload([line], type)).status;
  await eventually('both places are taken', async () => (await statusOf('text/plain')) === 503);
  const refused = await upload([line]);
  expect([refused.status, refused.body.code, refused.body.retryable]).toEqual([503, 'overloaded', true]);
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await ask('GET', at('/replays'))).status).toBe(200);
  begun[0]?.destroy();
  await eventually('a place is free', async () => (await statusOf('text/plain')) === 415);
  expect(await statusOf('application/x-ndjson')).toBe(201);
  begun[1]?.destroy();
});

describe('a recording', () => {
  test('is uploaded, judged without a trace, sent through the front door as a replay of its game, and told in the audit log', async () => {
    const lines = recordingOf(30);
    const uploaded = await upload([
      ...lines,
      lines[0] ?? '',
      'no event',
      '{"id":"x","type":"progression","playerId":"p"}',
    ]);
    expect([uploaded.status, uploaded.body.state, uploaded.body.lines]).toEqual([201, 'uploaded', 33]);
    const { jobId } = uploaded.body;
    const forecast = await post(`/replays/${jobId}/dry-run`);
    expect([forecast.status, forecast.body]).toMatchObject([
      200,
      {
        ...{ lines: 33, events: 32, malformed: 1, accepted: 30, duplicates: 1, players: 8 },
        rejected: [{ code: 'missing_field', events: 1 }],
        byType: [{ type: 'progression', events: 32 }],
      },
    ]);
    expect(sent()).toEqual([]);
    expect((await start(jobId)).body.state).toBe('running');
    await keyRing.refresh();
    const stop = run();
    await eventually('the replay is done', async () => (await jobAt(jobId)).state === 'done');
    await stop();
    expect(await jobAt(jobId)).toMatchObject({
      ...{ line: 33, accepted: 30, duplicates: 1, failure: null },
      rejected: expect.arrayContaining([
        { code: 'missing_field', events: 1 },
        { code: 'malformed_line', events: 1 },
      ]),
    });
    expect(new Set(sent().map(({ id }) => id)).size).toBe(30);
    for (const { keyId, src, context } of sent()) {
      expect(keyId).toMatch(/^replay-/);
      expect([src, context?.replay]).toEqual(['server', true]);
    }
    const keys = await server.db.query(
      'SELECT 1 FROM signing_keys WHERE game_id = $1 AND revoked_at IS NULL',
      [gameId],
    );
    expect(keys).toEqual([]);
    expect((await start(jobId)).body.code).toBe('replay_done');
    expect((await auditOf(server, gameId)).slice(-2)).toMatchObject([
      { action: 'replay.upload', subject: `replay ${jobId}` },
      { action: 'replay.start', reason: 'a test', details: { rebaseDays: 0, fromLine: 0 } },
    ]);
  });

  test('row 77: whose process is killed in the middle goes on at its mark in another, and every event counts once', async () => {
    const { jobId } = (await upload(recordingOf(600))).body;
    await start(jobId, { eventsPerSecond: 400 });
    await keyRing.refresh();
    // It is killed in its second round of 400 lines, when the first is marked: no statement and no request of it ends then.
    let isKilled = false;
    let answered = 0;
    const queue = queueOf('killed');
    const victim: Partial<ReplayRunnerParts> = {
      queue: {
        ...queue,
        claim: (leaseMs) => (isKilled ? forever : queue.claim(leaseMs)),
        save: async (job, progress, leaseMs) => {
          if (isKilled) return forever;
          const isOurs = await queue.save(job, progress, leaseMs);
          isKilled = progress.line > 0;
          return isOurs;
        },
      },
      clientOf: async (job) => {
        const client = createSignedClient({
          url: `http://127.0.0.1:${String(gateway.port)}`,
          keyId: job.keyId ?? '',
          secret: await secretOfKey(server.db, server.sealer, job.keyId ?? ''),
          clock: systemClock,
        });
        return {
          ...client,
          send: async (method, target, options = {}) => {
            if (answered >= 400) return forever;
            const answer = await client.send(method, target, options);
            if (answer.status === 202) answered += (options.body ?? '').split('\n').length;
            return answer;
          },
        };
      },
    };
    run(victim);
    await eventually('a mark is written', () => isKilled);
    const mark = (await jobAt(jobId)).line;
    expect(mark).toBe(400);
    const held = await queueOf('early').claim(60_000);
    expect(held).toBeNull(); // as long as its lease runs
    await server.db.query('UPDATE replay_jobs SET lease_until = now() WHERE job_id = $1', [jobId]);
    const stop = run();
    await eventually('the replay is done', async () => (await jobAt(jobId)).state === 'done');
    await stop();
    const { accepted, duplicates, line } = await jobAt(jobId);
    expect([Number(accepted) + Number(duplicates), line]).toEqual([600, 600]);
    expect(sent()).toHaveLength(600);
    expect(new Set(sent().map(({ id }) => id)).size).toBe(600);
  });

  test('row 77: is cancelled and goes on where it was, moved by the same days or not at all', async () => {
    const { jobId } = (await upload(recordingOf(300))).body;
    const other = (await upload(recordingOf(3))).body;
    expect((await start(jobId, { rebaseDays: 1 })).body.code).toBe('replay_ids_without_day');
    expect((await post(`/replays/${jobId}/dry-run?rebaseDays=1`)).body.code).toBe('replay_ids_without_day');
    await start(jobId, { eventsPerSecond: 1 }); // it is not over before it is cancelled
    expect((await start(other.jobId)).body.code).toBe('replay_running');
    await keyRing.refresh();
    const stop = run();
    await eventually('a mark is written', async () => (await jobAt(jobId)).line > 0);
    const cancelled = await post(`/replays/${jobId}/cancel`);
    expect([cancelled.status, cancelled.body.state]).toEqual([200, 'cancelled']);
    expect((await post(`/replays/${jobId}/cancel`)).body.code).toBe('replay_not_running');
    expect((await start(jobId, { rebaseDays: 2 })).body.code).toBe('replay_moved');
    const { line } = await jobAt(jobId);
    expect(line).toBeLessThan(300);
    expect((await start(jobId, { eventsPerSecond: 2000 })).status).toBe(202);
    await keyRing.refresh();
    await eventually('the replay is done', async () => (await jobAt(jobId)).state === 'done');
    await stop();
    expect(sent()).toHaveLength(300);
  });

  test('that is moved by days is judged as it would be sent: as moved by its start, or as asked', async () => {
    const tsMs = systemClock.now() - 3 * 86_400_000;
    const id = uuid7({ now: () => tsMs }, systemRandom);
    const payload = { deltaXp: 5, activity: 'quest' };
    const { jobId } = (
      await upload([JSON.stringify({ id, type: 'progression', playerId: 'p', ts: tsMs, payload })])
    ).body;
    const judged = async (query = ''): Promise<unknown[]> => {
      const { body }: { body: Readonly<Record<string, unknown>> } = await post(
        `/replays/${jobId}/dry-run${query}`,
      );
      return [body['firstAt'], body['accepted'], body['duplicates']];
    };
    const day = (days: number): string => new Date(tsMs + days * 86_400_000).toISOString();
    expect(await judged()).toEqual([day(0), 1, 0]);
    expect(await judged('?rebaseDays=2')).toEqual([day(2), 1, 0]);
    expect((await start(jobId, { rebaseDays: 2 })).status).toBe(202);
    expect((await post(`/replays/${jobId}/cancel`)).status).toBe(200);
    expect(await judged()).toEqual([day(2), 1, 0]);
    expect((await post(`/replays/${jobId}/dry-run?rebaseDays=-1`)).status).toBe(400);
  });

  test('that is cancelled and started again at once is the second run alone, though the same process holds both', async () => {
    const { jobId } = (await upload(recordingOf(3))).body;
    const queue = queueOf('process');
    const claimed = async (): Promise<ReplayJob> => {
      expect((await start(jobId)).status).toBe(202);
      const job = await queue.claim(60_000);
      if (job === null) throw new Error('nothing to claim');
      return job;
    };
    const first = await claimed();
    expect((await post(`/replays/${jobId}/cancel`)).status).toBe(200);
    const second = await claimed();
    const progress = { line: 1, tally: first.tally };
    expect(await queue.save(first, progress, 60_000)).toBe(false);
    await queue.end(first, progress, 'its key has ended');
    await queue.release(first, progress);
    expect(await jobAt(jobId)).toMatchObject({ state: 'running', line: 0, failure: null });
    expect(await queue.save(second, progress, 60_000)).toBe(true);
    await queue.end(second, progress, null);
    expect(await jobAt(jobId)).toMatchObject({ state: 'done', line: 1 });
  });

  test('is bounded, and of another game it looks as if there were none', async () => {
    expect((await upload(['x'], 'text/plain')).status).toBe(415);
    expect((await upload(['', ''])).body.code).toBe('empty_body');
    expect((await upload(Array.from({ length: 100_001 }, () => '{}'))).body.code).toBe('recording_too_long');
    // Empty lines cost their reading too.
    expect((await upload(['\n'.repeat(4 * 1024 * 1024)])).body.code).toBe('recording_too_long');
    const ids: string[] = [];
    for (let kept = 0; kept < 20; kept += 1) ids.push((await upload(recordingOf(1))).body.jobId);
    expect((await upload(recordingOf(1))).body.code).toBe('recordings_full');
    const first = await ask('GET', at('/replays?limit=15'));
    const second = await ask('GET', at(`/replays?limit=15&cursor=${String(first.body.nextCursor)}`));
    expect([...rowsOf(first), ...rowsOf(second)].map((one) => one['jobId'])).toEqual(ids.reverse());
    const gone = ids.pop() ?? '';
    const remove = (jobId: string): Promise<Answered> => ask('DELETE', at(`/replays/${jobId}`));
    expect((await remove(gone)).status).toBe(204);
    expect([(await remove(gone)).status, (await ask('GET', at(`/replays/${gone}`))).status]).toEqual([
      404, 404,
    ]);
    expect(await server.db.query('SELECT 1 FROM replay_chunks WHERE job_id = $1', [gone])).toEqual([]);
    expect((await auditOf(server, gameId)).at(-1)).toMatchObject({ action: 'replay.delete' });
    const again = await upload(recordingOf(1));
    expect(again.status).toBe(201);
    expect((await start(again.body.jobId)).status).toBe(202);
    expect((await remove(again.body.jobId)).body.code).toBe('replay_running');
    for (const name of ['a\nb', 'a\u202eb', '\u2066', 'a\u0007'])
      expect((await upload(recordingOf(1), undefined, name)).body.code).toBe('invalid_parameter');
    await server.db.query(`UPDATE replay_jobs SET expires_at = now() - interval '1 s' WHERE game_id = $1`, [
      gameId,
    ]);
    const mine = ids[0] ?? '';
    gameId = `${gameId}-b`;
    await server.addGame(gameId);
    expect((await ask('GET', at(`/replays/${mine}`))).status).toBe(404);
    expect((await remove(mine)).status).toBe(404);
    for (const change of ['dry-run', 'cancel'])
      expect((await post(`/replays/${mine}/${change}`)).status).toBe(404);
    expect((await start(mine)).status).toBe(404);
    await queueOf('any').forget();
    expect(await server.db.query('SELECT 1 FROM replay_chunks WHERE job_id = $1', [mine])).toEqual([]);
  });
});
