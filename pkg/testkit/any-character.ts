import fc from 'fast-check';

const SURROGATES = { first: 0xd800, count: 0x800 };
const LAST = 0x10ffff;

/**
 * Any character of Unicode, half surrogates excepted: the unit `binary` of fast-check, which makes a list of all 1.1 million
 * of them in every test file that asks for it. This one counts.
 */
export const anyCharacter = fc
  .integer({ min: 0, max: LAST - SURROGATES.count })
  .map((place) => String.fromCodePoint(place < SURROGATES.first ? place : place + SURROGATES.count), placeOf);

/** @throws Error for what is not one such character: fast-check asks this of strings that it would like to mix in */
function placeOf(text: unknown): number {
  const codePoint = typeof text === 'string' ? text.codePointAt(0) : undefined;
  if (codePoint === undefined || String.fromCodePoint(codePoint) !== text)
    throw new Error('not one character');
  if (codePoint < SURROGATES.first) return codePoint;
  if (codePoint < SURROGATES.first + SURROGATES.count) throw new Error('half a character');
  return codePoint - SURROGATES.count;
}
