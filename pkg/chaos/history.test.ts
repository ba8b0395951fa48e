import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  History,
  isExact,
  judge as judgeFound,
  rivalOf,
  type EventEffects,
  type EventLetters,
} from './history.js';

const ROLES = 4;
const judge = (
  history: History,
  effects: Iterable<EventEffects>,
  letters: readonly EventLetters[] = [],
): ReturnType<typeof judgeFound> => judgeFound(history, { effects: [...effects], letters }, ROLES);
const conflict = (eventId: string, roles = ROLES): EventLetters => ({
  eventId,
  reason: 'event_id_conflict',
  roles,
});
const once = (eventId: string): EventEffects => ({ eventId, archived: 1, counted: 1 });

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

describe('of two contents under one id', () => {
  const worldOf = (answer: 'ok' | 'fail'): History => {
    const history = new History();
    history.note('a', 'ok');
    history.note(rivalOf('a'), answer);
    return history;
  };

  test('the first counts, and the second is refused, or taken and dead in every role: both are exact', () => {
    expect(isExact(judge(worldOf('fail'), [once('a')]))).toBe(true);
    expect(isExact(judge(worldOf('ok'), [once('a')], [conflict(rivalOf('a'))]))).toBe(true);
  });

  test('a refused one may be dead in roles: another copy of it was under way', () => {
    expect(isExact(judge(worldOf('fail'), [once('a')], [conflict(rivalOf('a'))]))).toBe(true);
  });

  test('the second in effect is unexpected, whatever was answered, and the first is lost', () => {
    for (const answer of ['ok', 'fail'] as const) {
      const verdict = judge(worldOf(answer), [once(rivalOf('a'))], [conflict('a')]);
      expect(verdict.lost).toContain('a');
      expect(verdict.unexpected).toEqual([rivalOf('a'), 'a']);
    }
  });

  test('the second that was taken and is dead in three roles of four, or in none, is lost', () => {
    expect(judge(worldOf('ok'), [once('a')], [conflict(rivalOf('a'), 3)]).lost).toEqual([rivalOf('a')]);
    expect(judge(worldOf('ok'), [once('a')]).lost).toEqual([rivalOf('a')]);
  });
});

test('a dead letter of a good event, of a refused one, of a stranger, or for another reason is unexpected', () => {
  const history = new History();
  history.note('a', 'ok');
  history.note('bad', 'fail');
  history.note(rivalOf('a'), 'ok');
  const effects = [once('a')];
  for (const letter of [conflict('a'), conflict('bad'), conflict('stranger'), conflict(rivalOf('stranger'))])
    expect(judge(history, effects, [letter]).unexpected).toEqual([letter.eventId]);
  const crashed = { ...conflict(rivalOf('a')), reason: 'crash_loop' };
  expect(judge(history, effects, [crashed]).unexpected).toEqual([rivalOf('a')]);
});

test('what a client counted is read again, and added up over clients', () => {
  let kept = '';
  const written = new History((line) => (kept += line));
  written.did('late', 2);
  written.did('late');
  written.did('refused', 0);
  const read = new History();
  read.readLines(kept);
  read.readLines(kept);
  expect([read.timesOf('late'), read.timesOf('refused'), read.sent]).toEqual([6, 0, 0]);
});

describe('whatever clients were told', () => {
  const ids = fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 20 });
  const answers = fc.infiniteStream(fc.constantFrom('ok' as const, 'fail' as const, 'unknown' as const));
  const worlds = fc.tuple(ids, answers, fc.infiniteStream(fc.boolean())).map(([names, told, happened]) => {
    const history = new History();
    const effects = new Map<string, EventEffects>();
    for (const id of names) {
      const answer = told.next().value;
      history.intend(id);
      history.note(id, answer);
      // An unknown one may have happened or not.
      if (answer === 'ok' || (answer === 'unknown' && happened.next().value)) effects.set(id, once(id));
    }
    return { history, names, effects };
  });

  test('an exact world is found exact, and each single fault in it is found', () => {
    fc.assert(
      fc.property(worlds, fc.nat(), ({ history, names, effects }, place) => {
        expect(isExact(judge(history, effects.values()))).toBe(true);
        const id = names[place % names.length] ?? '';
        const answer = history.answerOf(id);
        const without = [...effects.values()].filter(({ eventId }) => eventId !== id);
        expect(judge(history, without).lost).toEqual(answer === 'ok' ? [id] : []);
        expect(judge(history, [...without, once(id)]).unexpected).toEqual(answer === 'fail' ? [id] : []);
        expect(judge(history, [...without, { ...once(id), counted: 2 }]).doubled).toEqual([id]);
        expect(judge(history, [...effects.values(), once('a stranger')]).unexpected).toEqual(['a stranger']);
      }),
    );
  });
});
