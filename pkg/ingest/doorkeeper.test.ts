import { expect, test } from '@jest/globals';
import { systemRandom as random } from '../kernel/random.js';
import { SettableClock } from '../testkit/settable-clock.js';
import { Doorkeeper } from './doorkeeper.js';
import { DEFAULT_INGEST_LIMITS } from './limits.js';
import { Hold, InFlight } from './read-body.js';

const MAX_WORK = 1_000;
const request = { headers: {} };

function setUp(): { comes: () => string | null; holds: (work: number) => void; clock: SettableClock } {
  const clock = new SettableClock(5_000);
  const inFlight = new InFlight(clock);
  const hold = new Hold(inFlight);
  const limits = { ...DEFAULT_INGEST_LIMITS, maxWork: MAX_WORK };
  const loadGate = { overload: null, publishWaitMs: () => 0 };
  const doorkeeper = new Doorkeeper({ limits, loadGate, random, clock }, inFlight);
  return { comes: () => doorkeeper.shedFor(request), holds: (work) => hold.work(work), clock };
}

test('row 44: a burst may fill all of the room; whoever comes when it is full is shed', () => {
  const { comes, holds } = setUp();
  expect(comes()).toBeNull();
  holds(MAX_WORK - 1);
  expect(comes()).toBeNull();
  holds(MAX_WORK);
  expect(comes()).toBe('work');
});

test('row 44: a load that does not let up has half of the room, until little has been in hand for a while', () => {
  const { comes, holds, clock } = setUp();
  const forAWhile = (ms: number): (string | null)[] =>
    Array.from({ length: ms / 50 }, () => {
      clock.advance(50);
      return comes();
    });
  expect(comes()).toBeNull();
  holds(MAX_WORK * 0.9);
  expect(forAWhile(200)).toEqual([null, null, null, null]);
  expect(forAWhile(1_000).at(-1)).toBe('work');
  holds(MAX_WORK / 2 - 1);
  expect(new Set(forAWhile(10_000))).toEqual(new Set([null]));
  holds(MAX_WORK / 2);
  expect(new Set(forAWhile(10_000))).toEqual(new Set(['work']));
  holds(0);
  expect(new Set(forAWhile(2_000))).toEqual(new Set([null]));
  holds(MAX_WORK - 1);
  expect(comes()).toBeNull();
});

test('row 44: a silence tells nothing but what is in hand at its end', () => {
  const { comes, holds, clock } = setUp();
  holds(MAX_WORK * 0.9);
  clock.advance(3_600_000);
  expect(comes()).toBe('work');
  holds(0);
  clock.advance(3_600_000);
  expect(comes()).toBeNull();
  holds(MAX_WORK * 0.9);
  clock.advance(100);
  expect(comes()).toBeNull();
});
