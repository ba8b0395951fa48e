import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';
import { openDoor, SECRET, steppedClock, type Door, type DoorOptions } from '../client/fixtures.js';
import { createSignedClient } from '../client/signed-client.js';
import { outputForTest } from './fixtures.js';
import { curlOf, payloadOf, send } from './send.js';

const NOW_MS = 1_795_176_000_250;
const COMMAND = {
  type: 'progression',
  fields: ['deltaXp=150', "note=it's $HOME `x`"],
  playerId: 'p 1',
  id: 'evt-1',
  idempotencyKey: 'key-1',
};
let door: Door | null = null;
afterEach(() => door?.close());

const boards = [
  {
    board: 'xp',
    eventType: 'progression',
    windows: ['daily', 'all-time'],
    partitionField: null,
    public: true,
  },
  { board: 'boss-time', eventType: 'boss_kill', windows: ['weekly'], partitionField: 'bossId', public: true },
];
const eventTypes = ['progression', 'boss_kill', 'chat'].map((type) => ({ type, from: 'any' }));
const entry = (score: number) => ({ rank: 3, playerId: 'p 1', score, reachedAt: '2026-11-20T12:00:00.000Z' });

/** A door that ranks the player once its event was posted and looked for a few times. */
function doorThatRanks(afterLooks: number, before: object[] = []): DoorOptions {
  let looks = 0;
  let isPosted = false;
  return {
    answer: ({ method, target }) => {
      if (target === '/v1/config') return { status: 200, body: { boards, eventTypes } };
      if (method === 'POST') {
        isPosted = true;
        return null;
      }
      if (isPosted) looks += 1;
      return { status: 200, body: { entries: looks > afterLooks ? [entry(150)] : before } };
    },
  };
}

async function sent(options: DoorOptions, command: Partial<typeof COMMAND> = {}) {
  door = await openDoor(options);
  const clock = steppedClock(NOW_MS);
  const client = createSignedClient({ url: door.url, keyId: 'demo', secret: SECRET, clock });
  const out = outputForTest();
  try {
    return {
      code: await send({ ...COMMAND, ...command }, { client, clock, out }),
      text: out.text(),
      lines: out.lines,
    };
  } finally {
    client.close();
  }
}

describe('a payload', () => {
  test('is made of numbers, booleans, JSON and text', () => {
    const fields = [
      'a=1',
      'b=-2.5',
      'c=true',
      'd=null',
      'e=["x"]',
      'f=fire',
      'g="1"',
      'h=',
      'i=a=b',
      'j=007',
    ];
    expect(payloadOf(fields)).toEqual({
      a: 1,
      b: -2.5,
      c: true,
      d: null,
      e: ['x'],
      f: 'fire',
      g: '1',
      h: '',
      i: 'a=b',
      j: '007',
    });
  });

  test.each([[['deltaXp']], [['=1']], [['a=1', 'a=2']], [['a=1e400']], [['a=9007199254740993']]])(
    'is refused: %p',
    (fields) => {
      expect(() => payloadOf(fields)).toThrow(expect.objectContaining({ code: 'wrong_command' }));
    },
  );
});

test('it shows the eight signed lines and the signature of what it sends', async () => {
  const { lines } = await sent(doorThatRanks(0));
  const post = door?.requests.find(({ method }) => method === 'POST');
  expect(door?.signatures.bad).toBe(0);
  const from = lines.indexOf('Signed string (eight lines):');
  expect(lines.slice(from + 1, from + 8)).toEqual(
    ['v1', 'POST', '/v1/events', 'demo', '1795176000', 'key-1', 'identity'].map((text) => `  ${text}`),
  );
  expect(lines[from + 9]).toBe(`Signature:\n  ${String(post?.headers['x-signature'])}`);
  expect(JSON.parse(post?.body ?? '')).toEqual({
    id: 'evt-1',
    type: 'progression',
    playerId: 'p 1',
    ts: 1795176000.25,
    payload: { deltaXp: 150, note: "it's $HOME `x`" },
  });
});

test('the curl it prints, run by a shell, posts the same request', async () => {
  door = await openDoor();
  const clock = steppedClock(NOW_MS);
  const client = createSignedClient({ url: door.url, keyId: 'demo', secret: SECRET, clock });
  const body = JSON.stringify({ id: 'e', ts: 1, payload: payloadOf(['a=it\'s "quoted" $HOME \\ `id` @x']) });
  const options = { body, idempotencyKey: 'key-1' };
  await client.send('POST', '/v1/events', options);
  client.close();
  await promisify(execFile)('sh', ['-c', curlOf(client.prepare('POST', '/v1/events', options))]);
  const [one, other] = door.requests;
  expect(other?.body).toBe(one?.body);
  for (const name of ['x-key-id', 'x-timestamp', 'x-signature', 'idempotency-key', 'content-type'])
    expect(other?.headers[name]).toBe(one?.headers[name]);
  expect(door.signatures).toEqual({ good: 2, bad: 0 });
});

test('it waits until the board shows the event, and says how long that took', async () => {
  const { code, text } = await sent(doorThatRanks(4));
  expect(code).toBe(0);
  expect(text).toMatch(/Visible on the board xp after \d+ ms: rank 3, score 150/);
  const looks = door?.requests.filter(({ target }) => target.includes('/rank')) ?? [];
  expect(looks[0]?.target).toBe('/v1/players/p%201/rank?board=xp&window=all-time');
  expect(door?.requests.filter(({ target }) => target === '/v1/config')).toHaveLength(1);
});

test('an entry that did not change is no failure: what stood there was as good', async () => {
  const { code, text } = await sent(doorThatRanks(100_000, [entry(900)]));
  expect(code).toBe(0);
  expect(text).toMatch(/did not change: what stood there \(score 900\)/);
});

test('an event that never shows is a failure, with where to look', async () => {
  const { code, text } = await sent(doorThatRanks(100_000));
  expect(code).toBe(1);
  expect(text).toMatch(/are the workers running/);
});

test('a type that no board ranks is not waited for', async () => {
  const { code, text } = await sent(doorThatRanks(0), { type: 'chat' });
  expect(code).toBe(0);
  expect(text).toMatch(/No board ranks chat/);
});

test('of a type that the game does not know it says what becomes of it, and which are known', async () => {
  const { code, text } = await sent(doorThatRanks(0), { type: 'progresion' });
  expect(code).toBe(0);
  expect(text).toMatch(
    /does not know the type progresion: the event is kept in the archive, unmapped.* It knows progression, boss_kill, chat\./,
  );
  expect(text).not.toMatch(/No board ranks/);
});

test('the partition of a board comes from the payload', async () => {
  await sent(doorThatRanks(0), { type: 'boss_kill', fields: ['bossId=hydra', 'durationMs=5'] });
  expect(door?.requests.map(({ target }) => target)).toContain(
    '/v1/players/p%201/rank?board=boss-time&window=weekly&partition=hydra',
  );
});

test('a refusal is shown as it came and fails', async () => {
  const { code, text } = await sent({ answer: () => ({ status: 401, body: { code: 'invalid_signature' } }) });
  expect(code).toBe(1);
  expect(text).toMatch(/401\n {2}\{"code":"invalid_signature"\}/);
});
