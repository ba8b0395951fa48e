import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readTraceparent, traceparentOf } from './traceparent.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const hex = (digits: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: digits, maxLength: digits })
    .map((all) => all.join(''));
const isZero = (text: string): boolean => /^0*$/.test(text);
const version00 = fc
  .tuple(
    hex(32).filter((id) => !isZero(id)),
    hex(16).filter((id) => !isZero(id)),
    hex(2),
  )
  .map(([trace, span, flags]) => `00-${trace}-${span}-${flags}`);

test('a traceparent of version 00 is read, and written again to the letter', () => {
  expect(readTraceparent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, flags: 1 });
  fc.assert(
    fc.property(version00, (text) => {
      const context = readTraceparent(text);
      expect(context === null ? null : traceparentOf(context)).toBe(text);
    }),
  );
});

test.each([
  ['nothing', ''],
  ['no dashes', `00${TRACE}${SPAN}01`],
  ['capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['a version of one digit', `0-${TRACE}-${SPAN}-01`],
  ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
  ['a trace of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['a short trace', `00-${TRACE.slice(1)}-${SPAN}-01`],
  ['a long parent', `00-${TRACE}-${SPAN}0-01`],
  ['no flags', `00-${TRACE}-${SPAN}`],
  ['more than version 00 has', `00-${TRACE}-${SPAN}-01-what`],
  ['a later version that goes on without a dash', `01-${TRACE}-${SPAN}-01.what`],
  ['white space around', ` 00-${TRACE}-${SPAN}-01`],
  ['a line more', `00-${TRACE}-${SPAN}-01\n`],
  ['two headers that a server has joined', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
])('%s is no traceparent', (_, text) => {
  expect(readTraceparent(text)).toBeNull();
});

test('no text makes it throw, and what one letter spoils is not read', () => {
  const other = fc.constantFrom(...'gG-. \u00e9\u0000');
  fc.assert(
    fc.property(version00, fc.nat(54), other, (text, at, letter) => {
      fc.pre(text[at] !== letter);
      expect(readTraceparent(text.slice(0, at) + letter + text.slice(at + 1))).toBeNull();
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => readTraceparent(text) === null));
});

test('of a version yet to come the known beginning counts, and of its flags the sampled one', () => {
  const known = { traceId: TRACE, spanId: SPAN, flags: 1 };
  for (const text of [`01-${TRACE}-${SPAN}-01`, `cc-${TRACE}-${SPAN}-ff-what-will-be`]) {
    expect(readTraceparent(text)).toEqual(known);
  }
  expect(traceparentOf(known)).toBe(`00-${TRACE}-${SPAN}-01`);
});
