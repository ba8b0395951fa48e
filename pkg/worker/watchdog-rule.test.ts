import { expect, test } from '@jest/globals';
import { firstWatch, judgeLook, type Look, type WatchVerdict } from './watchdog-rule.js';

const RULE = { periodMs: 10_000, lookMaxMs: 5_000 };
const still: Look = {
  atMs: 0,
  waiting: 3,
  signs: 7,
  isWaitingForDatabase: false,
  isInHand: false,
  taken: 'once',
};

/** The verdicts of looks a second apart; what differs from the still ones is given by second. */
function verdicts(seconds: number, differs: (second: number) => Partial<Look> = () => ({})): WatchVerdict[] {
  let watch = firstWatch({ ...still, ...differs(0) });
  return Array.from({ length: seconds }, (_, n) => {
    const look = { ...still, atMs: (n + 1) * 1_000, ...differs(n + 1) };
    const judged = judgeLook(watch, look, RULE);
    watch = judged.watch;
    return judged.verdict;
  });
}

const times = (count: number, verdict: WatchVerdict): WatchVerdict[] =>
  Array.from({ length: count }, () => verdict);

test('events that wait without progress: stuck after a period, lost after another', () => {
  expect(verdicts(21)).toEqual([...times(9, 'moves'), ...times(10, 'stuck'), ...times(2, 'lost')]);
});

test('what ends the standstill ends it from the beginning', () => {
  const ways: Record<string, (second: number) => Partial<Look>> = {
    'nothing waits': (second) => ({ waiting: second === 15 ? 0 : 3 }),
    'a call or a statement ended': (second) => ({ signs: second < 15 ? 7 : 8 }),
    'a statement is on its way': (second) => ({ isWaitingForDatabase: second === 15 }),
    'another member took a batch, and nothing is in hand': (second) => ({
      taken: second < 15 ? 'once' : 'twice',
    }),
  };
  for (const [way, differs] of Object.entries(ways)) {
    const judged = verdicts(30, differs);
    expect([way, judged.slice(12, 26)]).toEqual([
      way,
      [...times(2, 'stuck'), ...times(10, 'moves'), ...times(2, 'stuck')],
    ]);
    expect(judged).not.toContain('lost');
  }
});

test('a call that hangs is no progress, whatever the other members do', () => {
  const hangs = verdicts(20, (second) => ({ isInHand: true, taken: String(second) }));
  expect(hangs.at(-1)).toBe('lost');
});

test('a member that holds nothing is idle for as long as any other takes batches', () => {
  expect(verdicts(100, (second) => ({ taken: String(Math.floor(second / 9)) }))).toEqual(times(100, 'moves'));
});

test('a role that waits for PostgreSQL is alive, however long it is away', () => {
  // Each call ends with an outage, and the lag can or cannot be read.
  expect(verdicts(100, (second) => ({ signs: Math.floor(second / 8), isInHand: true }))).toEqual(
    times(100, 'moves'),
  );
  expect(verdicts(100, () => ({ waiting: null }))).toEqual(times(100, 'unknown'));
});

test('what cannot be read is no verdict, and what was counted before it does not stand', () => {
  const judged = verdicts(30, (second) => (second === 9 ? { waiting: null } : {}));
  expect(judged).toEqual([
    ...times(8, 'moves'),
    'unknown',
    ...times(9, 'moves'),
    ...times(10, 'stuck'),
    ...times(2, 'lost'),
  ]);
});

test('a process that was stopped for hours does not take them for a standstill', () => {
  const judged = verdicts(12, (second) => ({ atMs: second * 1_000 + (second < 5 ? 0 : 3_600_000) }));
  expect(judged).toEqual([...times(5, 'moves'), ...times(7, 'stuck')]);
});
