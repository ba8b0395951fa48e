import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { foldArchive } from '../../../archive/fold.js';
import { lockProfiles, saveArchive } from '../../../archive/postgres.js';
import { effectsOfPlayers } from '../../../audit/postgres.js';
import type { AdmittedEvent } from '../../../contract/event.js';
import { fold as foldScores } from '../../../leaderboard/fold.js';
import { lockScores, saveScores } from '../../../leaderboard/postgres.js';
import { postgresSnapshots } from '../../../leaderboard/snapshots.postgres.js';
import { postgresBoardTruth } from '../../../leaderboard/truth.postgres.js';
import { laneOf } from '../../../kernel/lanes.js';
import type { Sql } from '../../../postgres/port.js';
import { createDeadLetters } from '../../../worker/dead-letters/postgres.js';
import { enterInbox, ensureMonth } from '../../../worker/inbox/postgres.js';
import type { RoleEvent } from '../../../worker/port.js';
import { holdArchive } from '../../../worker/rederive/postgres.js';
import { makeProfile } from '../../../worker/rederive/profile.postgres.js';
import { admittedEvent } from '../../admitted-event.js';
import { testDatabase, type TestDatabase } from '../../postgres.js';
import { definitionOf, DEDUPE_FLOOR, ROLLOVER_MS } from '../game.js';
import {
  playScript,
  realEngine,
  simulatedEngine,
  tablesOf,
  type Engine,
  type Script,
} from './two-engines.js';
import { applyBatches } from './two-engines-batches.js';
import { healBoth } from './two-engines-healing.js';
import { dieOf, operate } from './two-engines-operators.js';

/** What the simulated store does is what PostgreSQL does: the same scripts and batches on both, with the same results. */

let database: TestDatabase;
beforeEach(async () => {
  database = await testDatabase();
});
afterEach(() => database.close());

const TS_MS = ROLLOVER_MS - 60_000;

const event = (id: string, over: Partial<AdmittedEvent> = {}): AdmittedEvent =>
  admittedEvent({ id, tsMs: TS_MS, payload: { deltaXp: 10, activity: 'quest' }, ...over });
const roleEvent = (one: AdmittedEvent): RoleEvent => ({
  event: one,
  definition: definitionOf(one.gameId, one.definitionVersion),
});
const of = (playerId: string): RoleEvent => roleEvent(event(`of-${playerId}`, { playerId }));

const enter =
  (...ids: string[]) =>
  async (sql: Sql): Promise<string> => {
    const rows = ids.map((id) => {
      const [name = '', deltaXp = '10'] = id.split('=');
      const one = event(name, { payload: { deltaXp: Number(deltaXp), activity: 'quest' } });
      return { ...one, lane: laneOf(one.gameId, one.playerId) };
    });
    const { standing } = await enterInbox(sql, 'progression', rows);
    return (
      [...standing].map(([n, hash]) => `${ids[n] ?? ''} stands as ${hash.slice(0, 6)}`).join() || 'all new'
    );
  };

const lock =
  (...players: string[]) =>
  async (sql: Sql): Promise<string> => {
    const profiles = await lockProfiles(sql, players.map(of));
    return [...profiles.values()].map(({ playerId, events }) => `${playerId}:${String(events)}`).join();
  };

/** One event more in a player's profile, by the role's own way. */
const count =
  (playerId: string) =>
  async (sql: Sql): Promise<string> => {
    const one = [of(playerId)];
    const changes = foldArchive(await lockProfiles(sql, one), one);
    await saveArchive(sql, changes);
    return [...changes.profiles.values()].map(({ events }) => String(events)).join();
  };

/** As a player is held who is looked at: archive and profile agree until the end. */
const hold =
  (playerId: string) =>
  async (sql: Sql): Promise<string> =>
    holdArchive(sql, { gameId: 'demo', playerId }).then(() => 'held');

const countsOf =
  (...players: string[]) =>
  async (sql: Sql): Promise<string> =>
    (await effectsOfPlayers(sql, 'demo', players)).profiles.map(({ events }) => String(events)).join();

const score =
  (id: string, playerId: string, deltaXp: number) =>
  async (sql: Sql): Promise<string> => {
    const one = [roleEvent(event(id, { playerId, payload: { deltaXp, activity: 'quest' } }))];
    const changes = foldScores(await lockScores(sql, one), one);
    await saveScores(sql, changes);
    return changes.scores.map(({ row }) => row.score).join();
  };

const DAY = { gameId: 'demo', board: 'xp', cycle: 'daily:2026-11-20', partition: '' };
const due = { key: DAY, closesAtMs: ROLLOVER_MS, definitionVersion: 1 };

const scripts: Readonly<Record<string, (engine: Engine) => Script>> = {
  'an identity that another is entering is waited for, and found when it was committed': () => [
    ['a', enter('x', 'y')],
    ['b', enter('y', 'z')],
    ['a', 'commit'],
    ['b', 'commit'],
  ],
  'an identity whose first try is rolled back is new': () => [
    ['a', enter('x')],
    ['b', enter('x=20')],
    ['a', 'rollback'],
    ['b', 'commit'],
    ['c', enter('x')],
  ],
  'identities apart do not wait': () => [
    ['a', enter('x')],
    ['b', enter('y')],
    ['b', 'commit'],
    ['a', 'commit'],
  ],
  'a row that is locked is read as it is after the wait': () => [
    ['a', lock('p-1', 'p-2')],
    ['b', lock('p-2', 'p-3')],
    ['a', count('p-2')],
    ['a', 'commit'],
    ['b', 'commit'],
  ],
  'a score that another inserts meanwhile is merged into': () => [
    ['a', score('e-1', 'p-1', 5)],
    ['b', score('e-2', 'p-1', 7)],
    ['a', 'commit'],
    ['b', 'commit'],
  ],
  'a cycle closes after the batch that holds it open, and has what it wrote': ({ db }) => [
    ['a', score('e-1', 'p-1', 5)],
    ['a', 'commit'],
    ['b', score('e-2', 'p-2', 7)],
    ['x', async () => String(await postgresSnapshots(db).close(due, 'desc', ROLLOVER_MS + 99_000))],
    ['b', 'commit'],
    ['c', score('e-3', 'p-1', 1)],
    ['c', 'commit'],
  ],
  'whoever archives waits for all who hold the player, and who holds it waits for whoever archives': () => [
    ['a', count('p-1')],
    ['a', 'commit'],
    ['b', hold('p-1')],
    ['c', hold('p-1')],
    ['d', count('p-1')],
    ['b', 'commit'],
    ['c', 'commit'],
    ['e', hold('p-1')],
    ['d', 'commit'],
    ['f', async (sql) => String(await makeProfile(sql, { gameId: 'demo', playerId: 'p-1' }, true))],
    ['e', 'commit'],
    ['f', 'commit'],
  ],
  'reads that repeat see what was there at the first of them, and nothing of it later': () => [
    ['a', count('p-1')],
    ['a', 'commit'],
    ['r', countsOf('p-1', 'p-2')],
    ['b', count('p-1')],
    ['c', count('p-2')],
    ['b', 'commit'],
    ['r', countsOf('p-1', 'p-2')],
    ['c', 'commit'],
    ['d', countsOf('p-1', 'p-2')],
    ['r', countsOf('p-1', 'p-2')],
    ['r', 'commit'],
    ['d', 'commit'],
  ],
  'a letter that two write at once is one with two attempts': ({ db }) => [
    ['a', enter('x')],
    ['x', async () => letter(db)],
    ['y', async () => letter(db)],
    ['a', 'commit'],
    ['z', async () => letter(db)],
  ],
  'the second content of an identity stands back behind the letter of the first': ({ db }) => [
    ['x', async () => letter(db)],
    ['a', enter('x=20', 'y')],
    ['a', 'commit'],
    ['b', enter('x', 'x=20')],
    ['b', 'commit'],
    ['c', enter('x=20', 'x')],
    ['c', 'commit'],
  ],
  'an epoch is raised once of two that saw the same': ({ db }) => {
    const truth = postgresBoardTruth(db);
    return [
      ['a', score('e-1', 'p-1', 5)],
      ['a', 'commit'],
      ['x', async () => String(await truth.raiseForBuild(DAY, 1))],
      ['y', async () => String(await truth.raiseForBuild(DAY, 1))],
      ['x', async () => truth.voidCycles([DAY, DAY]).then(() => 'void')],
      ['y', async () => truth.voidCycles([DAY]).then(() => 'void')],
      ['x', async () => JSON.stringify(await truth.openCycles({ board: 'xp' }, null, 2))],
      ['x', async () => [await truth.isOpen(DAY), await truth.isOpen({ ...DAY, cycle: 'none' })].join()],
    ];
  },
};

async function letter(db: Sql): Promise<string> {
  const { gameId, playerId, ...one } = event('x');
  const delivery = {
    gameId,
    playerId,
    messageId: 'm',
    body: JSON.stringify({ ...one, gameId, playerId }),
    headers: {},
  };
  const letters = createDeadLetters({ db, codeVersion: 'test' });
  await letters.put('progression', { ...delivery, position: '1/1', attempt: 1 }, 'xp_overflow', 'too much');
  return 'written';
}

test.each(Object.keys(scripts))('the simulated store and PostgreSQL do the same: %s', async (name) => {
  const engines = [realEngine(database.db), simulatedEngine()];
  const results = [];
  for (const engine of engines) {
    await engine.prepare(DEDUPE_FLOOR);
    await engine.finish(ensureMonth(engine.db, '2026-11-01'));
    const log = await playScript(engine, scripts[name]!(engine));
    results.push({ log, tables: await tablesOf(engine) });
  }
  expect(results[1]).toEqual(results[0]);
});

test('two that lock each other out: both engines end one of them, and the other goes on', async () => {
  for (const engine of [realEngine(database.db), simulatedEngine()]) {
    const log = await playScript(engine, [
      ['a', lock('p-1')],
      ['b', lock('p-2')],
      ['a', lock('p-2')],
      ['b', lock('p-1')],
    ]);
    const results = log.slice(2).map((line) => line.slice(3).replace(' (waited)', ''));
    expect(results.sort()).toEqual(['40P01', expect.stringMatching(/^p-[12]:0$/)]);
  }
});

test('the same batches through dispatch, all roles, leave the same tables in both', async () => {
  const real = realEngine(database.db);
  const simulated = simulatedEngine();
  const tables = [];
  for (const engine of [real, simulated]) {
    await engine.prepare(DEDUPE_FLOOR);
    await applyBatches(engine);
    tables.push(await tablesOf(engine));
  }
  expect(tables[1]).toEqual(tables[0]);
  expect(tables[0]?.['suspicious_events']?.length).toBeGreaterThan(0);
  expect(tables[0]?.['dead_letters']?.length).toBeGreaterThan(0);
});

test('letters that are redriven, dropped and corrected, and what roles lack, come to the same in both', async () => {
  const results = [];
  for (const engine of [realEngine(database.db), simulatedEngine()]) {
    await engine.prepare(DEDUPE_FLOOR);
    results.push({ told: await operate(engine), tables: await tablesOf(engine) });
  }
  expect(results[1]).toEqual(results[0]);
  const states = results[0]?.tables['dead_letters']?.map((line) => /state=(\w+)/.exec(line)?.[1]) ?? [];
  expect([...new Set(states)].sort()).toEqual(['applied', 'corrected', 'dropped', 'open']);
});

test('processes that die with one event in hand: both engines suspect the same, and count the same crashes', async () => {
  const results = [];
  for (const engine of [realEngine(database.db), simulatedEngine()]) {
    await engine.prepare(DEDUPE_FLOOR);
    results.push({ told: await dieOf(engine, engine.live), tables: await tablesOf(engine) });
  }
  expect(results[1]).toEqual(results[0]);
});

test('what is broken in the truth is found, made again and left in both alike, and every statement of it reads the same', async () => {
  const results = [];
  for (const engine of [realEngine(database.db), simulatedEngine()]) {
    await engine.prepare(DEDUPE_FLOOR);
    results.push({ told: await healBoth(engine), tables: await tablesOf(engine) });
  }
  expect(results[1]).toEqual(results[0]);
  for (const verdict of ['repaired', 'wrong', 'moving', 'blocked'])
    expect(JSON.stringify(results[0]?.told)).toContain(`"${verdict}"`);
});
