import { expect, test } from '@jest/globals';
import { visibleName } from './visible.ts';

test('row 24: a name shows what it would hide: marks of direction, characters that show nothing, spaces that a page leaves out', () => {
  const hidden = [
    '\u202e',
    '\u200b',
    '\u034f',
    '\u2060',
    '\ufe0f',
    '\u{e0101}',
    '\u3164',
    '\u2800',
    '\u00a0',
    '\n',
    '\u200d',
  ];
  for (const one of hidden) {
    const shown = `p-42\\u{${(one.codePointAt(0) ?? 0).toString(16)}}`;
    expect(visibleName(`p-42${one}`)).toBe(shown);
  }
  expect(visibleName(' two  words ')).toBe('\\u{20}two \\u{20}words\\u{20}');
});

test('names of every script and emoji stand as they were sent', () => {
  const names = [
    'two words',
    'Zoë',
    'אבג',
    'می\u200cخواهم',
    'क्\u200dष',
    '👩\u200d🚀',
    '❤️',
    '1\ufe0f\u20e3',
    '<img src=x onerror=alert(1)>',
    'a/b?c#d&e+100%41',
  ];
  for (const name of names) expect(visibleName(name)).toBe(name);
});
