import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemRandom } from './random.js';
import { uuid7 } from './uuid7.js';

test('the example of RFC 9562 (appendix A.6) comes out', () => {
  const fixed = { bytes: () => Buffer.from('0cc318c4dc0c0c07398f', 'hex') };
  expect(uuid7({ now: () => 0x017f22e279b0 }, fixed)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
});

test('every instant that fits gives version 7, the RFC variant, and the instant back', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), (now) => {
      const id = uuid7({ now: () => now }, systemRandom);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(now);
    }),
  );
});

test('a part of a millisecond is dropped', () => {
  expect(uuid7({ now: () => 1.9 }, systemRandom)).toMatch(/^00000000-0001-7/);
});

test.each([-1, 2 ** 48, Number.NaN])('a clock at %p is refused', (now) => {
  expect(() => uuid7({ now: () => now }, systemRandom)).toThrow(RangeError);
});
