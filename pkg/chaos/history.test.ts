import { expect, test } from '@jest/globals';
import { History, isExact, judge } from './history.js';

const once = (eventId: string) => ({ eventId, archived: 1, counted: 1 });

test('what was acknowledged and counted once is exact; an unknown answer may have counted or not', () => {
  const history = new History();
  for (const id of ['a', 'b', 'c', 'd']) history.intend(id);
  history.note('a', 'ok');
  history.note('d', 'fail');
  const verdict = judge(history, [once('a'), once('b')]);
  expect(verdict).toMatchObject({ sent: 4, acknowledged: 1, lost: [], doubled: [], unexpected: [] });
  expect(isExact(verdict)).toBe(true);
});

test('an acknowledged event without effect is lost', () => {
  const history = new History();
  history.note('a', 'ok');
  expect(judge(history, []).lost).toEqual(['a']);
});

test('an event counted twice, archived twice, or counted and not archived is doubled', () => {
  const history = new History();
  for (const id of ['a', 'b', 'c']) history.note(id, 'ok');
  const verdict = judge(history, [
    { eventId: 'a', archived: 1, counted: 2 },
    { eventId: 'b', archived: 2, counted: 1 },
    { eventId: 'c', archived: 1, counted: 0 },
  ]);
  expect(verdict.doubled).toEqual(['a', 'b', 'c']);
  expect(isExact(verdict)).toBe(false);
});

test('an effect that nobody asked for, or that was refused, is unexpected', () => {
  const history = new History();
  history.note('a', 'fail');
  expect(judge(history, [once('a'), once('stranger')]).unexpected).toEqual(['a', 'stranger']);
});

test('once acknowledged an event stays so, whatever later copies are told', () => {
  const history = new History();
  history.note('a', 'ok');
  history.note('a', 'fail');
  history.note('a', 'unknown');
  expect(history.answerOf('a')).toBe('ok');
});

test('what a client kept is read again, but for a line that its end cut off', () => {
  let kept = '';
  const written = new History((line) => (kept += line));
  written.intend('a');
  written.intend('b');
  written.note('a', 'ok');
  const read = new History();
  read.readLines(`${kept}ok b`);
  expect([read.answerOf('a'), read.answerOf('b'), read.sent]).toEqual(['ok', 'unknown', 2]);
});
