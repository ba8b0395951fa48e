import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDoor, SECRET, type Door, type DoorOptions } from '../../pkg/client/fixtures.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { built } from '../../pkg/testkit/processes.js';

const MAIN = built('cmd/replay/main.js');
const EVENTS = 3_000;

let folder: string;
let door: Door;
const options: { answer: NonNullable<DoorOptions['answer']> } = { answer: () => null };
const running: ChildProcess[] = [];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'replay-process-'));
  options.answer = () => null;
  door = await openDoor({ answer: (request, index) => options.answer(request, index) });
  const lines = Array.from({ length: EVENTS }, (_, n) =>
    JSON.stringify({
      id: `01a1f000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`,
      type: 't',
      playerId: `p-${String(n % 91)}`,
      ts: 1_700_000_000 + n,
    }),
  );
  writeFileSync(join(folder, 'season.ndjson'), lines.join('\n'));
});
afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  await door.close();
  rmSync(folder, { recursive: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; output: string }>;
}

const replay = (...words: string[]): Run => start('--url', door.url, '--concurrency', '2', ...words);

function start(...words: string[]): Run {
  const child = spawn(process.execPath, [MAIN, join(folder, 'season.ndjson'), ...words], {
    env: { PATH: process.env['PATH'], HMAC_SECRET: SECRET, DATA_DIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  return { child, ended: once(child, 'close').then(([code]) => ({ code: code as number | null, output })) };
}

const checkpoint = (): string => join(folder, 'season.ndjson.replay-checkpoint.json');
const kept = () => JSON.parse(readFileSync(checkpoint(), 'utf8')) as { line: number; rebaseDays: number };

/** Lets the first requests through and holds the others, so that whatever happens then happens in the middle. */
const holdAfter = (requests: number): (() => void) => {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  options.answer = async (_request, index) => {
    if (index >= requests) await gate;
    return null;
  };
  return release;
};

test('row 77: killed with SIGKILL in the middle and run again, it counts every event once, with the same times', async () => {
  const release = holdAfter(8);
  const first = replay('--rebase', 'auto');
  await eventually('the replay is in the middle', () => door.requests.length > 8);
  first.child.kill('SIGKILL');
  await first.ended;
  release();
  expect(door.taken.length).toBeLessThan(EVENTS);
  const { rebaseDays } = kept();
  expect(rebaseDays).toBeGreaterThan(900);

  const { code, output } = await replay('--rebase', 'auto', '--resume').ended;
  expect(output).toMatch(/accepted/);
  expect(code).toBe(0);
  expect(new Set(door.taken.map(({ id }) => id)).size).toBe(EVENTS);
  expect(door.taken).toHaveLength(EVENTS);
  expect(kept()).toMatchObject({ rebaseDays, line: EVENTS });
});

test('SIGINT ends it with 130 and a checkpoint behind what is answered', async () => {
  const release = holdAfter(8);
  const { child, ended } = replay();
  await eventually('the replay is in the middle', () => door.requests.length > 8);
  child.kill('SIGINT');
  release();
  const { code, output } = await ended;
  expect(output).toMatch(/Go on with the same command and --resume/);
  expect(code).toBe(130);
  expect(kept().line).toBe(door.taken.length);
  expect((await replay('--resume').ended).code).toBe(0);
  expect(door.taken).toHaveLength(EVENTS);
  expect(door.repeats()).toBe(0);
});

test('without --url it goes to what runs with this data directory', async () => {
  mkdirSync(join(folder, 'secrets'));
  const databaseUrl = 'postgres://nobody@nowhere/none';
  const running = { databaseUrl, ownerUrl: databaseUrl, redisUrl: null, url: door.url };
  writeFileSync(join(folder, 'secrets', 'running.json'), JSON.stringify(running));
  expect((await start().ended).code).toBe(0);
  expect(door.taken).toHaveLength(EVENTS);
});

test('where nothing answers it says so at once, with what to do', async () => {
  const { code, output } = await start('--url', 'http://127.0.0.1:1').ended;
  expect(code).toBe(1);
  expect(output).toBe(
    'fairtally: nothing answers at http://127.0.0.1:1: is `make run` running? If the gateway is elsewhere, give --url\n',
  );
});

test('without a secret it says what to do, and makes none', async () => {
  const child = spawn(process.execPath, [MAIN, join(folder, 'season.ndjson')], {
    env: { PATH: process.env['PATH'], DATA_DIR: join(folder, 'data') },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  running.push(child);
  let told = '';
  child.stderr.on('data', (chunk) => (told += String(chunk)));
  const [code] = await once(child, 'close');
  expect(code).toBe(1);
  expect(told).toMatch(/^fairtally: no secret of key demo is known: give --secret, set HMAC_SECRET/);
  expect(existsSync(join(folder, 'data'))).toBe(false);
});
