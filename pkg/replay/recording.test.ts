import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  countLines,
  readLine,
  readPieces,
  readRecording,
  rebaseDaysFor,
  shiftTs,
  survey,
  surveyRecording,
  type RecordedLine,
} from './recording.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'recording-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const fileOf = (content: string | Buffer, name = 'a.ndjson'): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const read = async (files: readonly string[], days = 0): Promise<RecordedLine[]> => {
  const lines: RecordedLine[] = [];
  for await (const line of readRecording(files, days)) lines.push(line);
  return lines;
};
const event = (fields: object): string =>
  JSON.stringify({ id: 'e', type: 't', playerId: 'p', ts: 1, ...fields });

test('lines are numbered through all files, and empty ones are skipped', async () => {
  const files = [
    fileOf(`${event({})}\r\n\n${event({})}`),
    fileOf(`${event({ playerId: 'q' })}\n`, 'b.ndjson'),
  ];
  const lines = await read(files);
  expect(lines.map(({ line }) => line)).toEqual([1, 3, 4]);
  expect(lines.every((line) => line.ok && line.body === line.body.trim())).toBe(true);
});

test('an unmoved event is sent in the very words of the recording', async () => {
  const text = '{"playerId":"p",  "ts":1.50, "payload":{"a":1e2}}';
  expect(await read([fileOf(text)])).toMatchObject([{ body: text }]);
});

test.each([
  ['not JSON', Buffer.from('{"a":')],
  ['an array', Buffer.from('[]')],
  ['no player', Buffer.from('{"id":"x"}')],
  [
    'bytes that are not UTF-8',
    Buffer.concat([Buffer.from('{"playerId":"'), Buffer.from([0xff]), Buffer.from('"}')]),
  ],
])('a line with %s is named and does not stop the others', async (_what, bytes) => {
  const file = fileOf(Buffer.concat([bytes, Buffer.from(`\n${event({})}\n`)]));
  expect(await read([file])).toMatchObject([
    { line: 1, ok: false, reason: 'malformed_line' },
    { line: 2, ok: true },
  ]);
});

test('a line beyond every limit takes no memory and is named', async () => {
  const file = fileOf(`${event({ pad: 'x'.repeat(1_000_000) })}\n${event({})}`);
  expect(await read([file])).toMatchObject([{ ok: false, reason: 'line_too_long' }, { ok: true }]);
});

test('a line separator inside a text does not break the line', async () => {
  expect(await read([fileOf(event({ playerId: 'a\u2028b' }))])).toMatchObject([{ playerId: 'a\u2028b' }]);
});

test.each([
  [1_795_176_000.25, 1_795_262_400.25],
  [1_795_176_000_250, 1_795_262_400_250],
  ['2026-11-20T00:00:00.5+01:00', '2026-11-20T23:00:00.500Z'],
  ['2026-02-30T00:00:00Z', '2026-02-30T00:00:00Z'],
  ['soon', 'soon'],
  [undefined, undefined],
])('%p moved by a day is %p', (ts, moved) => {
  expect(shiftTs(ts, 1)).toBe(moved);
});

test('the survey tells how much there is, of what, and when', async () => {
  const file = fileOf(
    [event({ ts: 86_400 }), 'x', event({ type: 'u', ts: 10 }), event({ ts: 'never' })].join('\n'),
  );
  const summary = await surveyRecording([file]);
  expect(summary).toEqual({
    lines: 4,
    lastLine: 4,
    unreadable: 1,
    idsWithoutDay: 3,
    byType: new Map([
      ['t', 2],
      ['u', 1],
    ]),
    firstMs: 10_000,
    lastMs: 86_400_000,
  });
});

test('auto moves by whole days, to end within the last day and never into the past', () => {
  const day = 86_400_000;
  expect(rebaseDaysFor({ lastMs: 10.5 * day }, 20 * day)).toBe(9);
  expect(rebaseDaysFor({ lastMs: 19.5 * day }, 20 * day)).toBe(0);
  expect(rebaseDaysFor({ lastMs: 30 * day }, 20 * day)).toBe(0);
  expect(rebaseDaysFor({ lastMs: null }, 20 * day)).toBe(0);
});

test.each([
  ['01a1584b-e5a1-7265-bc8f-b9e094ab0983', true],
  ['01M5C4XRF1KS716ZA5DBBKSQGJ', true],
  ['evt-941746d3d1', false],
  ['5b7e9f60-2c1f-4d0e-9a0b-0a7c9f3d2e11', false],
])('whether the id %s carries its day: %s', (id, hasDayInId) => {
  const line = readLine(Buffer.from(JSON.stringify({ id, playerId: 'p', ts: 1 })), 1, 0);
  expect(line).toMatchObject({ hasDayInId });
});

test.each([
  ['no bytes', '', 0],
  ['one line without its end', '{}', 1],
  ['one line with its end', '{}\n', 1],
  ['empty lines among others', '{}\n\n\n{}', 4],
  ['as many as are looked for', '\n\n\n\n\n', 5],
  ['more than are looked for', '\n'.repeat(1_000_000), 6],
])('lines are counted, empty ones too, and no further than asked: %s', (_what, text, lines) => {
  expect(countLines(Buffer.from(text), 5)).toBe(lines);
});

test.each([
  ['short lines', '{}\n'.repeat(10_000), 30],
  ['empty lines', '\n'.repeat(10_000), 30],
  ['long lines', `"${'x'.repeat(200_000)}"\n`.repeat(40), 10],
])(
  'a recording in the memory leaves the process its turn while it is read: %s',
  async (_what, text, least) => {
    let turns = 0;
    let isRead = false;
    const turn = (): void => {
      turns += 1;
      if (!isRead) setImmediate(turn);
    };
    setImmediate(turn);
    await survey(readPieces([Buffer.from(text)], 0));
    isRead = true;
    expect(turns).toBeGreaterThan(least);
  },
);
