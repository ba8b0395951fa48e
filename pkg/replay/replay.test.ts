import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { openDoor, SECRET, steppedClock, type Door, type DoorOptions } from '../client/fixtures.js';
import { createSignedClient, type SignedClient } from '../client/signed-client.js';
import { OutageError } from '../kernel/errors.js';
import { readRecording } from './recording.js';
import { replay, type ReplayOptions, type ReplayProgress } from './replay.js';

const NOW_MS = 1_795_176_000_000;
let folder: string;
let door: Door | null = null;
let client: SignedClient | null = null;
let clock = steppedClock(NOW_MS);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'replay-'));
  clock = steppedClock(NOW_MS);
});
afterEach(async () => {
  client?.close();
  await door?.close();
  rmSync(folder, { recursive: true });
});

const record = (lines: readonly string[]): string => {
  const path = join(folder, 'recording.ndjson');
  writeFileSync(path, lines.join('\n'));
  return path;
};
const season = (players: number, each: number): string[] =>
  Array.from({ length: players * each }, (_, n) =>
    JSON.stringify({
      id: `e-${String(n)}`,
      type: 't',
      playerId: `p-${String(n % players)}`,
      ts: 1_795_000_000 + n,
    }),
  );
async function play(
  lines: readonly string[],
  options: Partial<ReplayOptions> = {},
  doorOptions: DoorOptions = {},
): Promise<ReplayProgress> {
  door = await openDoor(doorOptions);
  client = createSignedClient({ url: door.url, keyId: 'demo', secret: SECRET, clock });
  const random = { unit: () => 0 };
  return replay({
    recording: readRecording([record(lines)], 0),
    client,
    clock,
    random,
    concurrency: 4,
    rate: null,
    fromLine: 0,
    ...options,
  });
}
const retryAfter = (status: number, seconds: string) => ({
  status,
  body: { code: 'overloaded', retryable: true },
  headers: { 'Retry-After': seconds },
});

test('every event arrives once, and the events of each player in order, with several requests at once', async () => {
  let second = (): void => undefined;
  const isSecondHere = new Promise<void>((resolve) => (second = resolve));
  const { tally, line } = await play(
    season(37, 40),
    {},
    {
      // The first is answered only when the second has come: one at a time would wait for ever.
      answer: async (_request, index) => {
        if (index === 0) await isSecondHere;
        if (index === 1) second();
        return null;
      },
    },
  );
  expect(tally).toEqual({ accepted: 1480, duplicates: 0, rejected: {} });
  expect(line).toBe(1480);
  const last = new Map<string, number>();
  for (const { playerId, ts } of door?.taken ?? []) {
    expect(Number(ts)).toBeGreaterThan(last.get(playerId) ?? 0);
    last.set(playerId, Number(ts));
  }
});

test('lines that cannot be read are counted and nothing else is held up', async () => {
  const lines = season(2, 2);
  lines.splice(1, 0, 'garbage', '{"id":"no player"}');
  const { tally, line } = await play(lines);
  expect(tally).toEqual({ accepted: 4, duplicates: 0, rejected: { malformed_line: 2 } });
  expect(line).toBe(6);
});

describe('what can be mended is sent again:', () => {
  test.each([429, 503, 500, 408])('row 59: after %i, not before Retry-After has passed', async (status) => {
    const answer: DoorOptions['answer'] = (_request, index) => (index < 2 ? retryAfter(status, '7') : null);
    const { tally } = await play(season(1, 3), { concurrency: 1 }, { answer });
    expect(tally.accepted).toBe(3);
    expect(clock.slept).toEqual([7_000, 7_000]);
    expect(new Set(door?.requests.map(({ body }) => body)).size).toBe(1);
  });

  test('a lost answer, with the same ids, so that it counts once', async () => {
    let isLost = true;
    const flaky: ReplayOptions['client'] = {
      send: async (...request) => {
        const answer = await (client as SignedClient).send(...request);
        if (!isLost) return answer;
        isLost = false;
        throw new OutageError('the gateway');
      },
    };
    const { tally } = await play(season(1, 5), { concurrency: 1, client: flaky });
    expect(tally).toEqual({ accepted: 0, duplicates: 5, rejected: {} });
    expect(door?.taken).toHaveLength(5);
  });

  test('an item that the gateway says may succeed later, alone', async () => {
    let refusals = 2;
    const refuse: DoorOptions['refuse'] = ({ id }) =>
      id === 'e-1' && (refusals -= 1) >= 0 ? { code: 'rate_limited', retryable: true } : null;
    const { tally } = await play(season(1, 3), { concurrency: 1 }, { refuse });
    expect(tally).toEqual({ accepted: 3, duplicates: 0, rejected: {} });
    expect(door?.requests.map(({ body }) => body.split('\n').length)).toEqual([3, 1, 1]);
  });

  test('a wrong clock', async () => {
    const serverTime = NOW_MS / 1000 - 7_200;
    const answer: DoorOptions['answer'] = ({ headers }) =>
      Number(headers['x-timestamp']) === serverTime ? null : { status: 401, body: { serverTime } };
    expect((await play(season(1, 3), {}, { answer })).tally.accepted).toBe(3);
  });
});

test('a gateway that stays away ends the replay, and what was answered before stays known', async () => {
  const seen: ReplayProgress[] = [];
  const answer: DoorOptions['answer'] = (_request, index) => (index < 1 ? null : retryAfter(503, '1'));
  const playing = play(season(1, 250), { concurrency: 1, onProgress: (at) => seen.push(at) }, { answer });
  await expect(playing).rejects.toMatchObject({ code: 'dependency_unavailable' });
  expect(seen.map(({ line }) => line)).toEqual([100]);
});

test.each([401, 403, 404, 415])('a %i that no retry mends ends the replay at once', async (status) => {
  const answer: DoorOptions['answer'] = () => ({ status, body: { code: 'no', detail: 'look here' } });
  const playing = play(season(1, 3), { concurrency: 1 }, { answer });
  await expect(playing).rejects.toThrow(`refuses the recording: ${String(status)} no (look here)`);
  expect(door?.requests).toHaveLength(1);
});

test.each([400, 413])(
  'a %i for the sake of one line refuses that line alone, and keeps the order',
  async (status) => {
    const answer: DoorOptions['answer'] = ({ body }) =>
      body.includes('"e-6"') ? { status, body: { code: 'duplicate_key' } } : null;
    const { tally } = await play(season(1, 10), { concurrency: 1 }, { answer });
    expect(tally).toEqual({ accepted: 9, duplicates: 0, rejected: { duplicate_key: 1 } });
    expect(door?.taken.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4, 5, 7, 8, 9].map((n) => `e-${String(n)}`));
  },
);

test('a rate is held: rounds wait until their time has come', async () => {
  await play(season(5, 10), { rate: 10 });
  expect(clock.slept.reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(5_000, 0);
});

test('it goes on behind a line with what was counted before', async () => {
  const tally = { accepted: 3, duplicates: 0, rejected: { x: 1 } };
  const done = await play(season(1, 6), { fromLine: 4, tally });
  expect(done).toEqual({ line: 6, tally: { accepted: 5, duplicates: 0, rejected: { x: 1 } } });
  expect(door?.taken.map(({ id }) => id)).toEqual(['e-4', 'e-5']);
});

test('a signal ends it behind a whole round, and what was under way is not counted', async () => {
  const stop = new AbortController();
  const answer: DoorOptions['answer'] = (_request, index) => {
    if (index < 2) return null;
    stop.abort();
    return retryAfter(503, '1');
  };
  const done = await play(season(1, 400), { concurrency: 1, signal: stop.signal }, { answer });
  expect(done).toEqual({ line: 200, tally: { accepted: 200, duplicates: 0, rejected: {} } });
});

test('events are moved by whole days, everything else stays', async () => {
  await play(season(1, 2), { recording: readRecording([record(season(1, 2))], 3) });
  expect(door?.taken).toEqual([
    { id: 'e-0', type: 't', playerId: 'p-0', ts: 1_795_259_200 },
    { id: 'e-1', type: 't', playerId: 'p-0', ts: 1_795_259_201 },
  ]);
});
