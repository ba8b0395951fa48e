import { expect, test } from '@jest/globals';
import { Chance } from '../testkit/sim/chance.js';
import { History } from './history.js';
import { LOAD_KINDS, LoadPlan, type PlannedRequest } from './plan.js';

const NOW_MS = 1_795_176_000_000;
const DAY_MS = 86_400_000;

/** Every third request goes unanswered, once. */
function planned(
  seed: number,
  count: number,
): { requests: PlannedRequest[]; history: History; plan: LoadPlan } {
  const history = new History();
  const plan = new LoadPlan({ name: 'c', players: 10, random: new Chance(seed) }, history);
  const requests = Array.from({ length: count }, (_, n) => {
    const request = plan.next(NOW_MS + n);
    for (const { key } of request.events) history.intend(key);
    if (n % 3 === 2) plan.owe(request.events);
    else for (const { key, kind } of request.events) history.note(key, kind === 'good' ? 'ok' : 'fail');
    return request;
  });
  return { requests, history, plan };
}

test('the same seed and the same answers make the same load', () => {
  expect(planned(7, 200).requests).toEqual(planned(7, 200).requests);
  expect(planned(7, 200).requests).not.toEqual(planned(8, 200).requests);
});

test('each kind of thing comes, and is counted', () => {
  const { history } = planned(7, 400);
  const byAnswer = ['refused', 'rival-taken'];
  for (const kind of LOAD_KINDS)
    if (!byAnswer.includes(kind)) expect([kind, history.timesOf(kind) > 0]).toEqual([kind, true]);
});

test('an event is the same however often it is sent, and a second content has the id, player and time of the first', () => {
  const bodies = new Map<string, unknown>();
  let rivals = 0;
  for (const { events } of planned(7, 400).requests)
    for (const { key, kind, body } of events) {
      expect(bodies.get(key) ?? body).toBe(body);
      bodies.set(key, body);
      if (kind !== 'rival') continue;
      rivals += 1;
      const { payload, ...first } = bodies.get(String(body['id'])) as Record<string, unknown>;
      expect(body).toMatchObject(first);
      expect(body['payload']).not.toEqual(payload);
    }
  expect(rivals).toBeGreaterThan(0);
});

test('late events are hours to days back, in other cycles', () => {
  const { requests, history } = planned(7, 400);
  const ages = new Map(
    requests
      .flatMap(({ events }) => events)
      .filter(({ kind }) => kind !== 'rival')
      .map(({ key, body }) => [key, NOW_MS - Number(body['ts'])]),
  );
  const late = [...ages.values()].filter((age) => age > 3_000_000);
  expect(late.length).toBe(history.timesOf('late'));
  expect(Math.max(...late)).toBeGreaterThan(DAY_MS);
});

test('what was not answered is sent until it is, also when nothing new is made any more', () => {
  const { plan, history } = planned(7, 100);
  for (let request = plan.last(); request !== null; request = plan.last())
    for (const { key, kind } of request.events) history.note(key, kind === 'good' ? 'ok' : 'fail');
  expect(history.count('unknown')).toBe(0);
});

test('when nothing is answered the plan makes nothing new, and no request without end', () => {
  const history = new History();
  const plan = new LoadPlan({ name: 'c', players: 10, random: new Chance(1) }, history);
  for (let n = 0; n < 500; n += 1) {
    const { events } = plan.next(NOW_MS);
    expect(events.length).toBeLessThanOrEqual(40);
    for (const { key } of events) history.intend(key);
    plan.owe(events);
  }
  expect(history.sent).toBeLessThan(200);
});
