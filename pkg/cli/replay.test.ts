import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { openDoor, SECRET, steppedClock, type Door, type DoorOptions } from '../client/fixtures.js';
import { createSignedClient, type SignedClient } from '../client/signed-client.js';
import { outputForTest } from './fixtures.js';
import { replayCommand, type ReplayCommand } from './replay.js';

const DAY_MS = 86_400_000;
const FIRST_TS = 1_795_132_800; // midnight
let folder: string;
let door: Door;
let client: SignedClient;
const options: { answer: NonNullable<DoorOptions['answer']> } = { answer: () => null };
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'replay-command-'));
  options.answer = () => null;
  door = await openDoor({ answer: (request, index) => options.answer(request, index) });
});
afterEach(async () => {
  client.close();
  await door.close();
  rmSync(folder, { recursive: true });
});

const checkpoint = (): string => join(folder, 'checkpoint.json');
const kept = () => JSON.parse(readFileSync(checkpoint(), 'utf8')) as { line: number; rebaseDays: number };
const uuid7Of = (n: number): string => `01a1f000-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const record = (events: number, idOf = uuid7Of): string => {
  const path = join(folder, 'a.ndjson');
  const lines = Array.from({ length: events }, (_, n) =>
    JSON.stringify({
      id: idOf(n),
      type: 'progression',
      playerId: `p-${String(n % 7)}`,
      ts: FIRST_TS + n,
    }),
  );
  writeFileSync(path, lines.join('\n'));
  return path;
};
async function run(command: Partial<ReplayCommand> = {}, daysLater = 0, signal?: AbortSignal) {
  const clock = steppedClock(FIRST_TS * 1000 + DAY_MS / 2 + daysLater * DAY_MS);
  client = createSignedClient({ url: door.url, keyId: 'demo', secret: SECRET, clock });
  const out = outputForTest();
  const whole: ReplayCommand = {
    files: [join(folder, 'a.ndjson')],
    url: door.url,
    rate: null,
    concurrency: 2,
    rebase: null,
    isDryRun: false,
    isResume: false,
    checkpointPath: checkpoint(),
    ...command,
  };
  const deps = { client, clock, random: { unit: () => 0 }, out, ...(signal === undefined ? {} : { signal }) };
  return { code: await replayCommand(whole, deps), text: out.text() };
}

test('the table at the end tells accepted, duplicate and rejected by reason', async () => {
  const path = record(10);
  writeFileSync(path, `${readFileSync(path, 'utf8')}\nnot an event\n`);
  const { code, text } = await run();
  expect(code).toBe(0);
  expect(text).toMatch(/11 lines from 2026-11-20 to 2026-11-20, 1 of them unreadable/);
  expect(text).toMatch(/accepted\s+│ 10/);
  expect(text).toMatch(/rejected: malformed_line\s+│ 1/);
  expect(text).toMatch(/events\/s over/);
});

test('row 77: a dry run tells what would be sent and sends nothing', async () => {
  record(10);
  const { code, text } = await run({ isDryRun: true, rebase: 'auto' }, 5);
  expect(code).toBe(0);
  expect(text).toMatch(/Moved by 5 days: 2026-11-25 to 2026-11-25/);
  expect(door.requests).toHaveLength(0);
  expect(existsSync(checkpoint())).toBe(false);
});

test('row 77: run twice, days apart, it sends the very same events: all are duplicates', async () => {
  record(250);
  await run({ rebase: 'auto' }, 3);
  const { text } = await run({ rebase: 'auto' }, 9);
  expect(text).toMatch(/duplicate\s+│ 250/);
  expect(door.taken).toHaveLength(250);
  expect(door.repeats()).toBe(250);
  expect(kept().rebaseDays).toBe(3);
});

test('row 77: another offset for the same recording is refused, with what to do', async () => {
  record(5);
  await run({ rebase: 3 });
  await expect(run({ rebase: 4 })).rejects.toMatchObject({ code: 'rebase_changed' });
  expect(door.taken).toHaveLength(5);
});

test('row 77: moved in time, ids that carry no day would be other events each time: refused before anything is sent', async () => {
  record(5, (n) => (n < 3 ? `evt-${String(n)}` : uuid7Of(n)));
  await expect(run({ rebase: 'auto' }, 3)).rejects.toMatchObject({
    code: 'ids_without_day',
    message: expect.stringMatching(/^3 of 5 events .* Replay this recording unmoved/),
  });
  expect(door.requests).toHaveLength(0);
  expect((await run()).code).toBe(0);
  expect(door.taken).toHaveLength(5);
});

test('a recording that is mostly known with other times fails and says why', async () => {
  record(5);
  const conflict = { status: 'rejected', code: 'event_id_conflict', retryable: false };
  options.answer = ({ body }) => ({
    status: 202,
    body: { results: body.split('\n').map((_line, index) => ({ index, ...conflict })) },
  });
  const { code, text } = await run({ rebase: 1 });
  expect(code).toBe(1);
  expect(text).toMatch(/Moved by 1 day:/);
  expect(text).toMatch(/replayed before with another --rebase/);
});

test('a file that is not there is named', async () => {
  await expect(run()).rejects.toThrow(/^there is no file .*a\.ndjson$/);
});

test('a stop ends with 130 and a checkpoint, from which --resume goes on', async () => {
  record(1_000);
  const stop = new AbortController();
  options.answer = (_request, index) => {
    if (index === 3) stop.abort();
    return null;
  };
  const first = await run({ rebase: 'auto' }, 2, stop.signal);
  expect(first.code).toBe(130);
  expect(first.text).toMatch(/Go on with the same command and --resume/);
  const { line } = kept();
  expect(line).toBeGreaterThan(0);
  expect(line).toBeLessThan(1_000);
  const second = await run({ isResume: true }, 40);
  expect(second.code).toBe(0);
  expect(second.text).toMatch(new RegExp(`Going on after line ${String(line)}`));
  expect(door.taken).toHaveLength(1_000);
  expect(second.text).toMatch(/accepted\s+│ 1000/);
});

test('a failure leaves a checkpoint behind what was answered', async () => {
  record(1_000);
  options.answer = (_request, index) =>
    index < 4 ? null : { status: 403, body: { code: 'insufficient_scope' } };
  await expect(run()).rejects.toMatchObject({ code: 'replay_refused' });
  expect(kept().line).toBeGreaterThan(0);
});

test('a checkpoint of another recording is not overwritten', async () => {
  record(10);
  await run();
  record(11);
  await expect(run()).rejects.toMatchObject({ code: 'checkpoint_of_another_recording' });
});

test.each(['', 'garbage', '{"recording":1}', '{"recording":"x","rebaseDays":0,"line":0,"tally":null}'])(
  'a damaged checkpoint (%p) is named',
  async (text) => {
    record(1);
    writeFileSync(checkpoint(), text);
    await expect(run()).rejects.toMatchObject({ code: 'checkpoint_unreadable' });
  },
);
