import { expect, test } from '@jest/globals';
import { isLate, nextSteps, type Pipeline, type RoleLine } from './next-steps.ts';

const role: RoleLine = {
  role: 'leaderboard',
  waiting: 0,
  waitingIsExact: true,
  oldestSeconds: null,
  delivered: 10,
  applied: 10,
  duplicate: 0,
  conflict: 0,
  dead: 0,
  holds: true,
};
const healthy: Pipeline = {
  at: '2026-11-20T00:00:00.000Z',
  status: 'healthy',
  definitionVersion: 1,
  bus: 'postgres',
  rate: { perSecond: 1, lastMinute: 60, lastHour: 95, lastEventAt: '2026-11-20T00:00:00.000Z' },
  refusals: { lastHour: 0, byReason: [] },
  roles: [role],
  conservation: { holds: true, acknowledged: 10, archived: 10 },
  deadLetters: { open: 0, redriven: 0 },
  drift: { isKnown: true, comparedThrough: null, missing: 0 },
  view: { state: 'whole', openCycles: 3, staleCycles: 0 },
  openCases: 0,
  findings24h: 0,
};
const told = (change: Partial<Pipeline>) =>
  nextSteps({ ...healthy, ...change }).map(({ weight, what }) => `${weight}: ${what}`);

test('of a pipeline that wants nobody there is nothing to do', () => {
  expect(nextSteps(healthy)).toEqual([]);
});

test('books that do not balance name their role, and come first', () => {
  const steps = told({
    conservation: { holds: false, acknowledged: 10, archived: 10 },
    roles: [{ ...role, holds: false, oldestSeconds: 90, waiting: 7 }],
    openCases: 2,
  });
  expect(steps).toEqual([
    'bad: The books of leaderboard do not balance.',
    'warn: leaderboard is 1 min 30 s behind, with 7 events to settle.',
    'todo: 2 cases wait for a verdict.',
  ]);
});

test('one open letter is told as one, and leads to the letters', () => {
  const [step] = nextSteps({ ...healthy, deadLetters: { open: 1, redriven: 0 } });
  expect(step).toMatchObject({ weight: 'bad', what: '1 dead letter is open.', place: ['dead-letters'] });
});

test('what a role lacks and a Redis that is away are grave; how much a role lacks may be unknown', () => {
  expect(told({ drift: { ...healthy.drift, missing: 3 } })).toEqual([
    'bad: A role lacks 3 events that the archive has.',
  ]);
  expect(told({ drift: { ...healthy.drift, missing: null } })).toEqual([]);
  expect(told({ view: { ...healthy.view, state: 'away' } })).toEqual(['bad: Redis does not answer.']);
});

test('refusals are told from one in twenty on, with the reason and build that most have', () => {
  const byReason = [{ code: 'schema_mismatch', build: '1.4.0', events: 4 }];
  expect(told({ refusals: { lastHour: 5, byReason } })).toEqual([]);
  const [step] = nextSteps({ ...healthy, refusals: { lastHour: 6, byReason } });
  expect(step).toMatchObject({ weight: 'warn', what: '6 % of the events of the last hour were refused.' });
  expect(step?.how).toContain('schema_mismatch from build 1.4.0');
});

test('a game without a definition or without events is told where to begin', () => {
  expect(told({ definitionVersion: null, rate: { ...healthy.rate, lastEventAt: null } })).toEqual([
    'todo: This game has no definition.',
    'todo: No event has come yet.',
  ]);
});

test('late is an event that waits for more than a minute', () => {
  expect([null, 60, 61].map((oldestSeconds) => isLate({ ...role, oldestSeconds }))).toEqual([
    false,
    false,
    true,
  ]);
});
