import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { shouldShed, type LoadLimits, type LoadSignals } from './load-rule.js';
import type { Overload } from './port.js';

const LIMITS: LoadLimits = {
  maxLoopDelayMs: 200,
  maxUnappliedMs: 60_000,
  minFreeDiskBytes: 1_000,
};
const CALM: LoadSignals = { loopDelayMs: 0, unappliedMs: 0, freeDiskBytes: 1e9 };
const shed = (signals: Partial<LoadSignals>, until: readonly Overload[] = []): readonly Overload[] =>
  shouldShed({ ...CALM, ...signals }, LIMITS, until);

test.each([
  ['event_loop', { loopDelayMs: 200 }, { loopDelayMs: 201 }],
  ['unapplied', { unappliedMs: 60_000 }, { unappliedMs: 60_001 }],
  ['disk', { freeDiskBytes: 1_000 }, { freeDiskBytes: 999 }],
] as const)('%s: at its limit events come in, past it they are shed', (reason, at, past) => {
  expect(shed(at)).toEqual([]);
  expect(shed(past)).toEqual([reason]);
});

test.each([
  ['event_loop', { loopDelayMs: 101 }, { loopDelayMs: 100 }],
  ['unapplied', { unappliedMs: 30_001 }, { unappliedMs: 30_000 }],
  ['disk', { freeDiskBytes: 1_249 }, { freeDiskBytes: 1_250 }],
] as const)(
  '%s: shedding ends well on the right side of the limit, and not before',
  (reason, still, over) => {
    expect(shed(still, [reason])).toEqual([reason]);
    expect(shed(over, [reason])).toEqual([]);
  },
);

test('what is not known, or has no limit, sheds nothing, also when it did before', () => {
  const all: readonly Overload[] = ['disk', 'unapplied', 'event_loop'];
  const unknown = { loopDelayMs: null, unappliedMs: null, freeDiskBytes: null };
  expect(shed(unknown, all)).toEqual([]);
  const none = { maxLoopDelayMs: null, maxUnappliedMs: null, minFreeDiskBytes: null };
  const worst = { loopDelayMs: 1e9, unappliedMs: 1e9, freeDiskBytes: 0 };
  expect(shouldShed(worst, none, all)).toEqual([]);
});

test('row 50: a full disk stands before every other reason, and ends by itself alone', () => {
  const until = shed({ loopDelayMs: 900, unappliedMs: 90_000, freeDiskBytes: 0 });
  expect(until).toEqual(['disk', 'unapplied', 'event_loop']);
  expect(shed({ freeDiskBytes: 0 }, until)).toEqual(['disk']);
  expect(shed({ loopDelayMs: 900 }, until)).toEqual(['event_loop']);
});

test('a signal that wavers around a limit by less than half of it changes nothing', () => {
  const wavering = fc.array(fc.double({ min: 0.55, max: 1.2, noNaN: true }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(wavering, (shares) => {
      let until = shed({ loopDelayMs: 201 });
      for (const share of shares) until = shed({ loopDelayMs: share * 200 }, until);
      expect(until).toEqual(['event_loop']);
      let open: readonly Overload[] = [];
      for (const share of shares) open = shed({ loopDelayMs: Math.min(1, share) * 200 }, open);
      expect(open).toEqual([]);
    }),
  );
});
