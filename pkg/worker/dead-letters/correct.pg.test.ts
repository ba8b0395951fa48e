import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { auditGame, type AuditResult } from '../../audit/audit.js';
import {
  applyToRoles,
  auditParts,
  definitions,
  deliveryOf,
  handlersOf,
  playedEvents,
  prepareGame,
} from '../../audit/fixtures.js';
import { encodeEvent, type AdmittedEvent, type JsonObject } from '../../contract/event.js';
import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import { admittedEvent } from '../../testkit/admitted-event.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { consumeBatch } from '../resubmissions/consume.js';
import { consumer, patiently, WHY } from '../resubmissions/fixtures.js';
import { redriveLetters } from '../resubmissions/postgres.js';
import { correctLetter, planCorrection, type Correction } from './correct.postgres.js';
import { dropJob } from './jobs.js';
import { createDeadLetters } from './postgres.js';
import { listActions, readLetter, recordAction } from './queries.postgres.js';

const signal = new AbortController().signal;
const RIGHT: JsonObject = { deltaXp: 50, guild: 'red' };
const WRONG: JsonObject = { deltaXp: 900_000, guild: 'red' };

/** Real transactions by the thousand, on a machine that may be busy. */
jest.setTimeout(180_000);

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
  await prepareGame(db);
  await applyToRoles(db, playedEvents().slice(0, 30));
});
afterEach(() => database.close());

const gain = (id: string, payload = WRONG): AdmittedEvent =>
  admittedEvent({
    id,
    playerId: 'p-1',
    tsMs: Date.UTC(2026, 10, 20, 13),
    payload,
    context: { build: '1.2' },
  });

/** An event that took effect everywhere but in some roles, where it is a letter. @returns the ids of the letters */
async function deadIn(roles: readonly RoleName[], event: AdmittedEvent): Promise<number[]> {
  const handlers = handlersOf(db);
  const delivery = deliveryOf(event, 0);
  for (const role of ROLES) {
    if (roles.includes(role))
      await createDeadLetters({ db, codeVersion: 'test' }).put(role, delivery, 'xp_overflow', 'too much');
    else expect(await handlers[role]([delivery])).toEqual([{ kind: 'ok' }]);
  }
  const rows = await db.query<{ id: number }>('SELECT id FROM dead_letters ORDER BY id');
  return rows.map(({ id }) => id);
}

const correct = (id: number, payload: JsonObject): Promise<Correction> =>
  correctLetter(id, payload, WHY, { db, definitions, clock: systemClock, random: systemRandom });

async function work(roles: readonly RoleName[] = ROLES): Promise<void> {
  const handlers = handlersOf(db);
  for (const role of roles) await consumeBatch(consumer(db, handlers[role], { role }), signal);
}

const audit = (): Promise<AuditResult> => auditGame('demo', { db, ...auditParts });

const inboxOf = async ({ identity }: AdmittedEvent): Promise<Record<string, number>> => {
  const rows = await db.query<{ role: string; v: number }>(
    'SELECT role, definition_version AS v FROM inbox WHERE identity = $1 ORDER BY role',
    [identity],
  );
  return Object.fromEntries(rows.map(({ role, v }) => [role, v]));
};

const totalXp = async (): Promise<number> =>
  (await db.query<{ total_xp: number }>("SELECT total_xp FROM player_progress WHERE player_id = 'p-1'"))[0]
    ?.total_xp ?? 0;

test('a corrected event takes effect in its role and the archive alone; audit, counters and recount are exact at every step', async () => {
  const event = gain('too-much');
  const before = await totalXp();
  const [letter] = await deadIn(['progression'], event);
  expect((await audit()).differences).toEqual([]);
  const { corrected } = await correct(letter!, RIGHT);
  expect((await audit()).differences).toEqual([]);
  await work(['archive']);
  expect((await audit()).differences).toEqual([]);
  await work();
  const result = await audit();
  expect(result).toMatchObject({ differences: [], letters: [] });
  expect(await totalXp()).toBe(before + 50);
  expect(await inboxOf(event)).toEqual({ archive: 1, progression: 0, leaderboard: 1, fairness: 1 });
  expect(await inboxOf(corrected)).toEqual({ archive: 1, progression: 1, leaderboard: 0, fairness: 0 });
  expect(corrected.context).toEqual({ build: '1.2', corrects: 'too-much' });
  expect(await readLetter(db, letter!)).toMatchObject({
    state: 'corrected',
    correctedBy: corrected.id,
    closedBy: 'ada',
    closedWhy: WHY.why,
    action: { action: 'correct', ...WHY },
  });
});

test('the original and the corrected event may be delivered to every role again: nothing changes', async () => {
  const event = gain('too-much');
  const [letter] = await deadIn(['progression'], event);
  const { corrected } = await correct(letter!, RIGHT);
  await work();
  const before = await totalXp();
  const said = await applyToRoles(db, [event, corrected]);
  expect(said).toEqual(ROLES.map(() => ['ok', 'ok']));
  expect(await totalXp()).toBe(before);
  expect((await audit()).differences).toEqual([]);
});

test('a corrected event that is poison again is a letter of its own, and can be corrected again', async () => {
  const [letter] = await deadIn(['progression'], gain('too-much'));
  const first = await correct(letter!, { deltaXp: 800_000, guild: 'red' });
  const handlers = handlersOf(db);
  await consumeBatch(consumer(db, handlers.archive, { role: 'archive' }), signal);
  const refuse = async () => [{ kind: 'dead', reason: 'xp_overflow', detail: '' } as const];
  expect(await consumeBatch(consumer(db, refuse), signal)).toMatchObject({ failed: 1 });
  expect(await audit()).toMatchObject({ differences: [], letters: [{ role: 'progression', letters: 1 }] });
  const [again] = await db.query<{ id: number }>("SELECT id FROM dead_letters WHERE state = 'open'");
  const second = await correct(again!.id, RIGHT);
  expect(second.original.id).toBe(first.corrected.id);
  await work();
  expect(await audit()).toMatchObject({ differences: [], letters: [] });
  expect(await inboxOf(second.corrected)).toEqual({
    archive: 1,
    progression: 1,
    leaderboard: 0,
    fairness: 0,
  });
});

test('letters of one event in two roles are corrected each for itself', async () => {
  const letters = await deadIn(['progression', 'leaderboard'], gain('too-much'));
  for (const letter of letters) await correct(letter, RIGHT);
  await work();
  expect(await audit()).toMatchObject({ differences: [], letters: [] });
});

test('an event that died everywhere: its archive letter is dropped, its others corrected, and the audit is exact', async () => {
  const event = gain('too-much');
  const [archive, progression, ...rest] = await deadIn(ROLES, event);
  await dropJob({ filter: { ids: [archive!, ...rest] }, decision: WHY }, { db });
  await correct(progression!, RIGHT);
  await work();
  expect(await audit()).toMatchObject({ differences: [], letters: [] });
});

test('an event that died in the archive alone cannot be corrected there: others have counted it', async () => {
  const [letter] = await deadIn(['archive'], gain('too-much'));
  await expect(correct(letter!, RIGHT)).rejects.toMatchObject({ code: 'correction_refused' });
  expect(await readLetter(db, letter!)).toMatchObject({ state: 'open' });
  expect(await db.query('SELECT 1 FROM resubmissions')).toEqual([]);
});

test('a payload that the definition refuses, the same payload, an unknown letter and one already decided are refused', async () => {
  const [letter] = await deadIn(['progression'], gain('too-much'));
  const code = (code: string) => ({ code });
  await expect(correct(letter!, { deltaXp: 'many', guild: 'red' })).rejects.toMatchObject(
    code('correction_refused'),
  );
  await expect(correct(letter!, WRONG)).rejects.toMatchObject(code('correction_refused'));
  await expect(correct(999, RIGHT)).rejects.toMatchObject(code('letter_unknown'));
  await correct(letter!, RIGHT);
  await expect(correct(letter!, RIGHT)).rejects.toMatchObject(code('correction_refused'));
  expect(await db.query('SELECT 1 FROM corrections')).toHaveLength(1);
  expect(await listActions(db, 10)).toHaveLength(1);
});

test('a plan changes nothing', async () => {
  const [letter] = await deadIn(['progression'], gain('too-much'));
  await planCorrection(letter!, RIGHT, { db, definitions, clock: systemClock, random: systemRandom });
  expect(await readLetter(db, letter!)).toMatchObject({ state: 'open' });
  expect(await listActions(db, 10)).toEqual([]);
});

test('two operators correct a letter at once: one event takes its place', async () => {
  const [letter] = await deadIn(['progression'], gain('too-much'));
  const tries = await Promise.allSettled([
    correct(letter!, RIGHT),
    correct(letter!, { deltaXp: 60, guild: 'red' }),
  ]);
  expect(tries.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  await work();
  expect(await audit()).toMatchObject({ differences: [], letters: [] });
});

test('an operator corrects while another redrives: one of them decides, and the audit is exact', async () => {
  const [letter] = await deadIn(['progression'], gain('too-much'));
  const action = await recordAction(db, 'redrive', WHY, {});
  const [corrected, sent] = await Promise.allSettled([
    correct(letter!, RIGHT),
    redriveLetters(db, [letter!], action),
  ]);
  expect(sent.status).toBe('fulfilled');
  const redriven = sent.status === 'fulfilled' ? sent.value : 0;
  expect(redriven).toBe(corrected.status === 'fulfilled' ? 0 : 1);
  await work();
  expect(await audit()).toMatchObject({ differences: [], letters: [] });
});

test('row 14: the conflict of an identity is corrected, and what took effect under it stays', async () => {
  const first = gain('same', RIGHT);
  await applyToRoles(db, [first]);
  const other = gain('same', { deltaXp: 70, guild: 'red' });
  for (const role of ROLES)
    await createDeadLetters({ db, codeVersion: 'test' }).put(
      role,
      deliveryOf(other, 1),
      'event_id_conflict',
      '',
    );
  const [row] = await db.query<{ id: number }>("SELECT id FROM dead_letters WHERE role = 'progression'");
  await correct(row!.id, { deltaXp: 71, guild: 'red' });
  await work();
  expect((await audit()).differences).toEqual([]);
  expect(await inboxOf(first)).toEqual({ archive: 1, progression: 1, leaderboard: 1, fairness: 1 });
});

test('an event that the bus applies while it is corrected is not corrected', async () => {
  const event = gain('too-much');
  const [letter] = await deadIn(['progression'], event);
  let correcting: Promise<unknown> | undefined;
  await db.transaction(async (sql) => {
    await sql.query(
      `INSERT INTO inbox (role, dedupe_day, identity, game_id, lane, content_hash, definition_version)
       SELECT 'progression', dedupe_day, identity, game_id, lane, content_hash, 1 FROM inbox WHERE role = 'archive' AND identity = $1`,
      [event.identity],
    );
    correcting = correct(letter!, RIGHT).catch((error: unknown) => error);
    await patiently('it waits', async () => {
      const waiting = await db.query(
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      return waiting.length === 1;
    });
  });
  expect(await correcting).toMatchObject({ code: 'correction_refused' });
  expect(await db.query('SELECT 1 FROM corrections')).toEqual([]);
});

test('what is written is what the archive and the bodies say: the corrected event reads back', async () => {
  const [letter] = await deadIn(['progression'], gain('too-much'));
  const { corrected } = await correct(letter!, RIGHT);
  const bodies = await db.query<{ role: string; body: string }>(
    'SELECT role, body FROM resubmissions ORDER BY role',
  );
  expect(bodies).toEqual([
    { role: 'archive', body: encodeEvent(corrected) },
    { role: 'progression', body: encodeEvent(corrected) },
  ]);
});

test('dropping in the archive: what other roles have counted is kept and can be redriven; what none has counted takes effect nowhere', async () => {
  const [counted, unseen] = [gain('counted'), gain('unseen')];
  await deadIn(['archive'], counted);
  await createDeadLetters({ db, codeVersion: 'test' }).put(
    'archive',
    deliveryOf(unseen, 1),
    'xp_overflow',
    '',
  );
  const drop = { filter: { role: 'archive' as const }, decision: WHY };
  expect(await dropJob(drop, { db })).toEqual({ looked: 2, dropped: 1, applied: 0, kept: 1 });
  const letters = await db.query<{ id: number; state: string }>(
    'SELECT id, state FROM dead_letters ORDER BY id',
  );
  expect(letters.map(({ state }) => state)).toEqual(['open', 'dropped']);
  await applyToRoles(db, [unseen]);
  expect(await inboxOf(unseen)).toEqual({ archive: 0, progression: 0, leaderboard: 0, fairness: 0 });
  expect(await inboxOf(counted)).toEqual({ progression: 1, leaderboard: 1, fairness: 1 });
  await redriveLetters(db, [letters[0]!.id], await recordAction(db, 'redrive', WHY, {}));
  await work(['archive']);
  expect(await audit()).toMatchObject({ differences: [], letters: [] });
});
