import { expect, test } from '@jest/globals';
import { admittedEvent } from '../testkit/admitted-event.js';
import type { Letter, LetterItem } from '../worker/dead-letters/port.js';
import type { RedriveResult } from '../worker/dead-letters/jobs.js';
import type { LetterTally } from '../worker/dead-letters/queries.postgres.js';
import { correctDead, dropDead, listDead, redriveDead, showDead } from './dead.js';
import { outputForTest } from './fixtures.js';

const ITEM: LetterItem = {
  id: 7,
  role: 'progression',
  gameId: 'demo',
  playerId: 'p-1',
  eventId: 'e-1',
  eventType: 'progression',
  reason: 'xp_overflow',
  attempts: 2,
  firstSeenMs: Date.parse('2026-11-20T12:00:00.123Z'),
  lastSeenMs: Date.parse('2026-11-20T13:00:00Z'),
  state: 'open',
};
const LETTER: Letter = {
  ...ITEM,
  detail: 'it would go beyond 2^53',
  body: '{"id":"e-1","payload":{"deltaXp":5}}',
  headers: { traceparent: '00-1-2-01' },
  position: '3/17',
  codeVersion: '0.1.0',
  dedupeDay: '2026-11-20',
  identity: 'ab'.repeat(16),
  contentHash: 'cd'.repeat(32),
  closedMs: null,
  closedBy: null,
  closedWhy: null,
  action: null,
  correctedBy: null,
};

const shown = async (letter: Letter): Promise<string> => {
  const out = outputForTest();
  expect(await showDead(letter.id, { letter, isJson: false, out })).toBe(0);
  return out.text();
};

test('letters are listed with event, reason, attempts, times and state, and a full page names the next', async () => {
  const out = outputForTest();
  await listDead(1, { letters: [ITEM], isJson: false, out });
  expect(out.text()).toMatch(
    /7 +│ progression │ demo │ p-1 +│ progression e-1 │ xp_overflow │ 2 +│ 2026-11-20T12:00:00Z │ 2026-11-20T13:00:00Z │ open/,
  );
  expect(out.text()).toContain('--before-id 7');
  const empty = outputForTest();
  await listDead(1, { letters: [], isJson: false, out: empty });
  expect(empty.text()).toBe('No dead letters.');
});

test('as JSON letters are an array', async () => {
  const out = outputForTest();
  await listDead(1, { letters: [ITEM], isJson: true, out });
  expect(JSON.parse(out.text())).toEqual([ITEM]);
});

test('a letter is shown whole: its body laid out, and the commands that come next', async () => {
  const text = await shown(LETTER);
  expect(text).toContain('it would go beyond 2^53');
  expect(text).toContain('    "deltaXp": 5');
  expect(text).toContain('fairtally dead redrive 7 --why');
  expect(text).toContain('fairtally dead drop 7 --why');
  expect(text).toContain('--payload file.json --override');
});

test('what nobody could read is shown as it came, and cannot be corrected', async () => {
  const text = await shown({ ...LETTER, eventId: null, eventType: null, identity: null, body: '{"half' });
  expect(text).toContain('  {"half');
  expect(text).not.toContain('--payload');
});

test('a decided letter says who decided, and why', async () => {
  const action = {
    id: 3,
    action: 'drop' as const,
    actor: 'ada',
    why: 'a test event',
    madeMs: ITEM.lastSeenMs,
  };
  const text = await shown({ ...LETTER, state: 'dropped', action });
  expect(text).toContain('drop by ada at 2026-11-20T13:00:00Z: a test event');
  expect(text).toContain('Nothing is left to do.');
});

test('what a player put into an event cannot speak to the terminal', async () => {
  const text = await shown({ ...LETTER, playerId: 'p\u001b[2J\u202e', body: '\u001b]0;title\u0007\nnext' });
  expect(text).not.toMatch(/[\u001b\u0007\u202e]/);
});

test('an unknown letter is told', async () => {
  const shownOf = showDead(9, { letter: null, isJson: false, out: outputForTest() });
  await expect(shownOf).rejects.toMatchObject({ code: 'letter_unknown' });
});

const TALLIES: LetterTally[] = [
  { role: 'progression', reason: 'xp_overflow', state: 'open', letters: 3 },
  { role: 'progression', reason: 'xp_overflow', state: 'applied', letters: 2 },
];
const RESULT: RedriveResult = {
  actionId: 4,
  looked: 3,
  sent: 3,
  done: 2,
  skipped: 1,
  failed: 0,
  pending: 0,
  isStalled: false,
};
const never = (): never => {
  throw new Error('it was done');
};

test('a dry run of redrive and drop shows counts by role and reason, and does nothing', async () => {
  const out = outputForTest();
  const tally = async () => TALLIES;
  expect(await redriveDead({ filter: {}, isDryRun: true }, { tally, redrive: never, out })).toBe(0);
  expect(out.text()).toMatch(/progression │ xp_overflow │ open +│ 3 +│ sent again/);
  expect(out.text()).toMatch(/applied │ 2 +│ skipped/);
  expect(out.text()).toContain('Add --yes to send 3 again.');
  const dropOut = outputForTest();
  expect(await dropDead({ isDryRun: true, filter: {} }, { tally, drop: never, out: dropOut })).toBe(0);
  expect(dropOut.text()).toContain('Add --yes to drop 3.');
});

test('a redrive tells what is done, skipped, failed and unknown; failures fail the command', async () => {
  const run = async (result: Partial<RedriveResult>, ids?: number[]): Promise<[number, string]> => {
    const out = outputForTest();
    const tally = async () => TALLIES;
    const redrive = async () => ({ ...RESULT, ...result });
    const filter = ids === undefined ? {} : { ids };
    return [await redriveDead({ filter, isDryRun: false }, { tally, redrive, out }), out.text()];
  };
  expect(await run({})).toEqual([0, 'Action 4: 2 done, 1 skipped, 0 failed.']);
  expect(await run({}, [1, 2, 3, 4, 5, 6])).toEqual([1, 'Action 4: 2 done, 3 skipped, 0 failed, 1 unknown.']);
  const [failing, failure] = await run({ done: 1, failed: 1 });
  expect(failing).toBe(1);
  expect(failure).toContain('open again');
  const [stalled, waiting] = await run({ done: 0, skipped: 0, pending: 3, isStalled: true });
  expect(stalled).toBe(1);
  expect(waiting).toContain('3 wait for a worker');
});

test('a drop tells what was dropped, and what had taken effect', async () => {
  const out = outputForTest();
  const drop = async () => ({ looked: 3, dropped: 2, applied: 1, kept: 0 });
  expect(await dropDead({ isDryRun: false, filter: {} }, { tally: async () => TALLIES, drop, out })).toBe(0);
  expect(out.text()).toBe('2 dropped, 3 skipped (1 of them had taken effect).');
});

test('a corrected payload without the override is shown and refused; with it, it takes the place', async () => {
  const original = admittedEvent({ id: 'e-1' });
  const corrected = admittedEvent({ id: 'fix_1' });
  const planned = { role: 'progression' as const, original, corrected };
  const deps = { plan: async () => planned, correct: async () => ({ ...planned, actionId: 5 }) };
  const out = outputForTest();
  expect(await correctDead({ payload: { a: 1 }, isOverride: false }, { ...deps, correct: never, out })).toBe(
    1,
  );
  expect(out.text()).toContain('Nothing was changed.');
  const done = outputForTest();
  expect(
    await correctDead({ payload: { a: 1 }, isOverride: true }, { ...deps, plan: never, out: done }),
  ).toBe(0);
  expect(done.text()).toBe('Action 5: fix_1 takes the place of e-1 in progression and is on its way.');
});

test('long names are cut in a list; JSON means the same and speaks to no terminal', async () => {
  const playerId = `\u009b31m\u202e${'x'.repeat(8_000)}`;
  const [text, json] = [outputForTest(), outputForTest()];
  await listDead(50, { letters: [{ ...ITEM, playerId }], isJson: false, out: text });
  expect(
    Math.max(...text.lines.flatMap((line) => line.split('\n')).map(({ length }) => length)),
  ).toBeLessThan(300);
  await listDead(50, { letters: [{ ...ITEM, playerId }], isJson: true, out: json });
  expect(json.text()).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(JSON.parse(json.text())).toEqual([{ ...ITEM, playerId }]);
});

test('letters that are named and were all decided about before are told, and fail', async () => {
  const out = outputForTest();
  const tally = async (): Promise<LetterTally[]> => [
    { role: 'progression', reason: 'xp_overflow', state: 'dropped', letters: 1 },
  ];
  const words = { filter: { ids: [7] }, isDryRun: false };
  expect(await redriveDead(words, { tally, redrive: never, out })).toBe(1);
  expect(await dropDead(words, { tally, drop: never, out })).toBe(1);
  expect(out.lines).toEqual(Array(2).fill('No such dead letter is open: nothing was done.'));
  const open = async (): Promise<LetterTally[]> => [
    { role: 'progression', reason: 'xp_overflow', state: 'open', letters: 1 },
  ];
  const drop = async () => ({ looked: 1, dropped: 1, applied: 0, kept: 0 });
  const some = { filter: { ids: [7, 999] }, isDryRun: false };
  expect(await dropDead(some, { tally: open, drop, out })).toBe(1);
  expect(out.lines.at(-1)).toBe('1 dropped, 0 skipped, 1 unknown.');
});

test('where no letter fits nothing is decided; a dry run of named letters says what to leave out; kept letters are told', async () => {
  const out = outputForTest();
  const filter = { ids: [999] };
  const none = { tally: async () => [], redrive: never, drop: never, out };
  expect(await redriveDead({ filter, isDryRun: false }, none)).toBe(1);
  expect(await dropDead({ filter, isDryRun: false }, none)).toBe(1);
  expect(out.lines.slice(-2)).toEqual(Array(2).fill('No dead letter fits: nothing was done.'));
  await redriveDead({ filter, isDryRun: true }, { ...none, tally: async () => TALLIES });
  expect(out.lines.at(-1)).toContain('Leave out --dry-run to send');
  const drop = async () => ({ looked: 2, dropped: 1, applied: 0, kept: 1 });
  expect(await dropDead({ filter, isDryRun: false }, { tally: async () => TALLIES, drop, out })).toBe(1);
  expect(out.lines.at(-1)).toContain('1 of the archive stay open');
});
