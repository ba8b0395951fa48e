import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { dedupeDayOf, identityOf } from '../contract/identity.js';
import { ROLES } from '../kernel/roles.js';
import { CRASHES_MAX, SUSPECT_AFTER } from '../worker/crash-guard/rules.js';
import { built, startProcess, type TestProcess } from './processes.js';
import { startStack, type Stack } from './stack.js';

const EVENTS = 40;
const POISON = 'e-17';
const ROLE = 'progression';
/** Twice in a batch, three times alone, and as many of a second worker: it may meet the event before the end of the first is noticed. */
const LIVES_MAX = 4 * (SUSPECT_AFTER + CRASHES_MAX);
const REST_MS = 120_000;

let stack: Stack;
let post: (from: number, to: number) => Promise<void>;
const workers: TestProcess[] = [];

beforeEach(async () => {
  stack = await startStack();
  const gateway = await stack.startGateway();
  const ts = Date.now();
  post = async (from, to) => {
    const client = stack.client(gateway.url);
    const events = Array.from({ length: to - from }, (_, n) => ({
      id: `e-${String(from + n)}`,
      type: 'progression',
      playerId: `p-${String((from + n) % 5)}`,
      ts,
      payload: { deltaXp: 1, activity: 'quest' },
    }));
    const body = events.map((event) => JSON.stringify(event)).join('\n');
    const answer = await client.send('POST', '/v1/events/batch', {
      body,
      contentType: 'application/x-ndjson',
    });
    expect(answer.status).toBe(202);
    client.close();
  };
  const identity = identityOf('demo', `p-${String(17 % 5)}`, dedupeDayOf(POISON, ts), POISON);
  poison = { POISON_ROLE: ROLE, POISON_IDENTITY: identity };
}, 180_000);
let poison: Record<string, string>;

afterEach(async () => {
  for (const worker of workers) worker.kill('SIGKILL');
  await Promise.all(workers.splice(0).map((worker) => worker.exited));
  await stack.close();
});

/**
 * Starts a worker again whenever it ends, as a supervisor would.
 *
 * @returns how many lives ended before everything was at rest
 */
async function keepRunning(rest: Promise<void>): Promise<number> {
  for (let deaths = 0; deaths < LIVES_MAX; deaths += 1) {
    const env = { ...stack.env, ...poison };
    // What a core dump would leave behind goes with the folder.
    const worker = startProcess(
      'worker',
      [built('pkg/testkit/poison-worker-main.js')],
      env,
      stack.env['DATA_DIR'],
    );
    workers.push(worker);
    const isAtRest = await Promise.race([rest.then(() => true), worker.exited.then(() => false)]);
    if (isAtRest) return deaths;
    expect((await worker.exited).signal).toBe('SIGABRT');
  }
  throw new Error(`${String(LIVES_MAX)} lives were not enough`);
}

async function expectQuarantine(events: number): Promise<void> {
  expect(
    await stack.db.query("SELECT role, reason, body::jsonb ->> 'id' AS event FROM dead_letters"),
  ).toEqual([{ role: ROLE, reason: 'crash_loop', event: POISON }]);
  const settled = await stack.db.query(
    'SELECT role, count(*) AS events FROM inbox GROUP BY role ORDER BY role',
  );
  expect(settled).toEqual(
    [...ROLES].sort().map((role) => ({ role, events: role === ROLE ? events - 1 : events })),
  );
  const [xp] = await stack.db.query<{ xp: number }>('SELECT sum(total_xp) AS xp FROM player_progress');
  expect(xp?.xp).toBe(events - 1);
}

test('row 36: an event that aborts its process is a dead letter crash_loop after three crashes; others flow', async () => {
  await post(0, EVENTS);
  const deaths = await keepRunning(stack.drained(REST_MS));
  expect(deaths).toBeGreaterThanOrEqual(SUSPECT_AFTER + CRASHES_MAX);
  await expectQuarantine(EVENTS);
  // The process that wrote the letter is still the one that works.
  await post(EVENTS, 2 * EVENTS);
  await stack.drained();
  expect(workers.filter((worker) => worker.isRunning)).toHaveLength(1);
  await expectQuarantine(2 * EVENTS);
}, 150_000);

test('row 36: of two workers neither is ended for ever, and nothing but the event is given up', async () => {
  await post(0, EVENTS);
  const rest = stack.drained(REST_MS);
  const deaths = await Promise.all([keepRunning(rest), keepRunning(rest)]);
  expect(deaths[0] + deaths[1]).toBeGreaterThanOrEqual(SUSPECT_AFTER + CRASHES_MAX);
  await expectQuarantine(EVENTS);
}, 150_000);
