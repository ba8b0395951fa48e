import type { IncomingMessage } from 'node:http';
import { expect, test } from '@jest/globals';
import { systemRandom as random } from '../kernel/random.js';
import { SettableClock } from '../testkit/settable-clock.js';
import { Doorkeeper } from './doorkeeper.js';
import { DEFAULT_INGEST_LIMITS } from './limits.js';
import { Hold, InFlight } from './read-body.js';

const MAX_WORK = 1_000;
const request = { headers: {} } as IncomingMessage;

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

test('row 44: a load that does not let up for a second has half of the room, until hardly anything is in hand again', () => {
  const { comes, holds, clock } = setUp();
  expect(comes()).toBeNull();
  holds(MAX_WORK / 2);
  clock.advance(1_000);
  expect(comes()).toBeNull();
  clock.advance(1);
  expect(comes()).toBe('work');
  holds(MAX_WORK / 2 - 1);
  expect(comes()).toBeNull();
  holds(MAX_WORK / 10);
  clock.advance(60_000);
  expect(comes()).toBeNull();
  holds(MAX_WORK / 2);
  expect(comes()).toBe('work');
  holds(MAX_WORK / 10 - 1);
  expect(comes()).toBeNull();
  holds(MAX_WORK - 1);
  expect(comes()).toBeNull();
});
