import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { SignedClient } from '../client/signed-client.js';
import { createDefinitionStore } from '../games/definitions/postgres.js';
import { testRedisUrl } from './redis.js';
import { eventually, startStack, type Stack } from './stack.js';

const SAMPLE = readFileSync(new URL('../../sample_events/demo.yaml', import.meta.url), 'utf8');

/** The sample definition with one more event type, a board of it per track, and a reward: nothing but YAML. */
const WITH_LAPS = SAMPLE.replace(
  /^events:\n/m,
  `events:
  lap_driven:
    from: any
    payload:
      required: [trackId, lapMs]
      properties:
        trackId: { type: string, minLength: 1, maxLength: 64 }
        lapMs: { type: integer, minimum: 1, maximum: 3600000 }
`,
)
  .replace(
    /^boards:\n/m,
    `boards:
  lap-time:
    event: lap_driven
    aggregate: min
    value: lapMs
    partition: trackId
    windows: [daily, all-time]
    public: true
`,
  )
  .replace(
    /^rewards:\n/m,
    `rewards:
  - event: lap_driven
    once: track:{trackId}:{item}
    item: sticker
`,
  );

let stack: Stack;
let client: SignedClient;
let url: string;

beforeAll(async () => {
  stack = await startStack({ redisUrl: testRedisUrl() });
  await stack.startWorker();
  url = (await stack.startGateway()).url;
  client = stack.client(url);
}, 180_000);
afterAll(async () => {
  client.close();
  await stack.close();
});

const post = async (event: object): Promise<{ status: number; text: string }> =>
  client.send('POST', '/v1/events', { body: JSON.stringify(event) });
const lap = (id: string, playerId: string, trackId: string, lapMs: number): object => ({
  id,
  type: 'lap_driven',
  playerId,
  ts: Date.now(),
  payload: { trackId, lapMs },
});
const boardOf = async (trackId: string): Promise<{ playerId: string; score: number }[]> => {
  const answer = await fetch(`${url}/v1/leaderboards/lap-time?window=all-time&partition=${trackId}`);
  return answer.ok
    ? ((await answer.json()) as { entries: { playerId: string; score: number }[] }).entries
    : [];
};

test('a new event type, a board per track and a reward come with YAML alone, from a stated instant, without a restart', async () => {
  expect((await post(lap('before', 'p-1', 'oval', 60_000))).status).toBe(202); // unknown: kept by the archive, no board
  const effectiveFromMs = Date.now() + 1_500;
  const { version } = await createDefinitionStore(stack.db).apply({
    gameId: 'demo',
    source: WITH_LAPS,
    effectiveFromMs,
    by: 'test',
  });
  expect(version).toBe(2);
  expect((await post(lap('early', 'p-1', 'oval', 59_000))).status).toBe(202); // applied, but not yet in force
  await eventually(
    async () =>
      ((await (await fetch(`${url}/v1/config`)).json()) as { definitionVersion: number })
        .definitionVersion === 2,
    20_000,
    'version 2',
  );
  expect(Date.now()).toBeGreaterThanOrEqual(effectiveFromMs);

  for (const [id, player, track, ms] of [
    ['l1', 'p-1', 'oval', 58_000],
    ['l2', 'p-2', 'oval', 57_000],
    ['l3', 'p-1', 'alps', 91_000],
    ['l4', 'p-1', 'oval', 61_000],
  ] as const) {
    expect((await post(lap(id, player, track, ms))).status).toBe(202);
  }
  expect((await post(lap('bad', 'p-1', 'oval', -5))).status).toBe(400);
  await stack.drained();

  await eventually(async () => (await boardOf('oval')).length === 2, 10_000, 'the board');
  expect((await boardOf('oval')).map(({ playerId, score }) => [playerId, score])).toEqual([
    ['p-2', 57_000],
    ['p-1', 58_000],
  ]);
  expect((await boardOf('alps')).map(({ playerId, score }) => [playerId, score])).toEqual([['p-1', 91_000]]);

  const receipts = await stack.db.query<{ player_id: string; grant_key: string; definition_version: number }>(
    `SELECT player_id, grant_key, definition_version FROM receipts ORDER BY player_id, grant_key`,
  );
  expect(receipts).toEqual([
    { player_id: 'p-1', grant_key: 'track:alps:sticker', definition_version: 2 },
    { player_id: 'p-1', grant_key: 'track:oval:sticker', definition_version: 2 },
    { player_id: 'p-2', grant_key: 'track:oval:sticker', definition_version: 2 },
  ]);
  const archived = await stack.db.query<{ event_id: string; definition_version: number }>(
    'SELECT event_id, definition_version FROM events ORDER BY event_id',
  );
  expect(archived.map((row) => [row.event_id, row.definition_version])).toEqual([
    ['before', 1],
    ['early', 1],
    ['l1', 2],
    ['l2', 2],
    ['l3', 2],
    ['l4', 2],
  ]);
}, 180_000);
