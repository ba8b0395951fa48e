import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { encodeEvent, type AdmittedEvent } from '../../pkg/contract/event.js';
import { ROLES, type RoleName } from '../../pkg/kernel/roles.js';
import { admittedEvent } from '../../pkg/testkit/admitted-event.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { built, startProcess, type TestProcess } from '../../pkg/testkit/processes.js';
import { startStack, type Stack } from '../../pkg/testkit/stack.js';
import { createDeadLetters } from '../../pkg/worker/dead-letters/postgres.js';

/** A dozen processes on a machine that may be busy. */
jest.setTimeout(240_000);
const WAIT_MS = 120_000;
const EVENTS = 300;

let stack: Stack;
const started: TestProcess[] = [];
beforeAll(async () => {
  stack = await startStack();
});
afterAll(async () => {
  for (const process of started) process.kill('SIGKILL');
  await Promise.all(started.map(({ exited }) => exited));
  await stack.close();
});

function start(name: 'fairtally' | 'worker', ...words: string[]): TestProcess {
  const process = startProcess(name, [built(`cmd/${name}/main.js`), ...words], stack.env);
  started.push(process);
  return process;
}

async function fairtally(...words: string[]): Promise<string> {
  const command = start('fairtally', ...words);
  const { code } = await command.exited;
  return `${String(code)} ${command.output()}`;
}

const event = (id: string): AdmittedEvent =>
  admittedEvent({
    id,
    playerId: `p-${String(Number(id.slice(2)) % 7)}`,
    payload: { deltaXp: 10, activity: 'quest' },
  });

async function bury(roles: readonly RoleName[], events: readonly AdmittedEvent[]): Promise<void> {
  const letters = createDeadLetters({ db: stack.db, codeVersion: 'old' });
  for (const role of roles) {
    for (const [n, { gameId, playerId, ...rest }] of events.entries()) {
      const body = encodeEvent({ gameId, playerId, ...rest });
      const position = `0/${String(n)}`;
      const delivery = { gameId, playerId, body, headers: {}, messageId: rest.id, position, attempt: 1 };
      await letters.put(role, delivery, 'handler_error', 'old code');
    }
  }
}

const states = async (): Promise<Record<string, number>> => {
  const rows = await stack.db.query<{ state: string; count: number }>(
    'SELECT state, count(*) AS count FROM dead_letters GROUP BY state',
  );
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
};

const applied = async (): Promise<number> => (await states())['applied'] ?? 0;

/** The commands build on each other, as an operator uses them. */
test('row 54: letters of every role are redriven while worker and command are killed: run again it skips what is done, and nothing counts twice', async () => {
  const events = Array.from({ length: EVENTS }, (_, n) => event(`e-${String(n)}`));
  await bury(ROLES, events);
  const all = ROLES.length * EVENTS;

  const plan = await fairtally('dead', 'redrive', '--reason', 'handler_error', '--why', 'mended');
  expect(plan).toMatch(
    /^0 [^]*progression │ handler_error │ open +│ 300 +│ sent again[^]*Add --yes to send 1200/,
  );
  expect(await states()).toEqual({ open: all });
  expect(await stack.db.query('SELECT 1 FROM operator_actions')).toEqual([]);

  const words = ['dead', 'redrive', '--reason', 'handler_error', '--yes', '--why', 'mended', '--by', 'ada'];
  const [worker, command] = [start('worker'), start('fairtally', ...words, '--rate', '100')];
  await eventually('some have taken effect', async () => (await applied()) > 100, WAIT_MS);
  worker.kill('SIGKILL');
  command.kill('SIGKILL');
  await Promise.all([worker.exited, command.exited]);

  await start('worker').waitFor(/worker is ready/, WAIT_MS);
  expect(await fairtally(...words, '--rate', '10000')).toMatch(
    /^0 Action \d+: \d+ done, \d+ skipped, 0 failed.\n$/,
  );
  await eventually(
    'what the killed command had sent is settled',
    async () => (await applied()) === all,
    WAIT_MS,
  );
  const [sum] = await stack.db.query<{ xp: number }>(
    'SELECT sum(total_xp)::bigint AS xp FROM player_progress',
  );
  expect(sum?.xp).toBe(EVENTS * 10);
  const actions = await stack.db.query('SELECT DISTINCT action, actor, why FROM operator_actions');
  expect(actions).toEqual([{ action: 'redrive', actor: 'ada', why: 'mended' }]);
});

test('one letter is corrected and one is dropped by hand; who and why is shown, nothing is missing, the audit is exact', async () => {
  await bury(['progression'], [event('c-1'), event('d-1')]);
  const rows = await stack.db.query<{ id: number }>(
    "SELECT id FROM dead_letters WHERE state = 'open' ORDER BY id",
  );
  const [correctedId, droppedId] = rows.map(({ id }) => String(id));
  const file = join(stack.env['DATA_DIR'] ?? '', 'payload.json');
  writeFileSync(file, '{"deltaXp":5,"activity":"quest"}');
  const redrive = [
    'dead',
    'redrive',
    correctedId!,
    '--payload',
    file,
    '--why',
    'wrong amount',
    '--by',
    'ada',
  ];
  expect(await fairtally(...redrive, '--override')).toMatch(
    /^0 Action \d+: fix_\S+ takes the place of c-1 in progression/,
  );
  expect(await fairtally('dead', 'drop', droppedId!, '--why', 'a test', '--by', 'bob')).toMatch(
    /^0 1 dropped/,
  );
  expect(await fairtally('dead', 'show', droppedId!)).toMatch(
    /state +dropped[^]*drop by bob at [^]*: a test/,
  );
  await eventually(
    'the correction took effect',
    async () => (await stack.db.query("SELECT 1 FROM resubmissions WHERE state = 'pending'")).length === 0,
    WAIT_MS,
  );
  const [sum] = await stack.db.query<{ xp: number }>(
    'SELECT sum(total_xp)::bigint AS xp FROM player_progress',
  );
  expect(sum?.xp).toBe(EVENTS * 10 + 5);
  const dryRun = await fairtally('reconcile', '--dry-run', '--older-than-minutes', '0');
  expect(dryRun).toMatch(/^0 [^]*Nothing is missing/);
  expect(await fairtally('audit')).toMatch(/^0 [^]*Exact: 301 events/);
});
