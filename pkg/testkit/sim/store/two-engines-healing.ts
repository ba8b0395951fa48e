import { eventsOf } from '../../../audit/events.postgres.js';
import { effectsOfPlayers } from '../../../audit/postgres.js';
import { weigh } from '../../../audit/weigh.postgres.js';
import { archiveRole } from '../../../archive/role.js';
import type { Delivery } from '../../../bus/port.js';
import { canonicalJson } from '../../../contract/canonical-json.js';
import { encodeEvent, type AdmittedEvent, type JsonValue } from '../../../contract/event.js';
import { gamesOf, playersAfter, postgresWalks } from '../../../heal/walks.postgres.js';
import { systemClock } from '../../../kernel/clock.js';
import { keysOfSubject, scoresAfter } from '../../../leaderboard/rederive.postgres.js';
import { leaderboardRole } from '../../../leaderboard/role.js';
import { postgresSnapshots } from '../../../leaderboard/snapshots.postgres.js';
import { createProgressionRole } from '../../../progression/role.js';
import { grantsOf, ledgerOf } from '../../../progression/rederive.postgres.js';
import type { Sql } from '../../../postgres/port.js';
import { createDeadLetters } from '../../../worker/dead-letters/postgres.js';
import { createDispatch } from '../../../worker/dispatch.js';
import type { Role } from '../../../worker/port.js';
import { followedThrough, keptStrangersOf } from '../../../worker/rederive/followed.postgres.js';
import { steppingClock } from '../../../worker/rederive/fixtures.js';
import { healPlayers } from '../../../worker/rederive/heal.js';
import { settledOf, stillStrange, strangersOf } from '../../../worker/rederive/postgres.js';
import { makeProfile } from '../../../worker/rederive/profile.postgres.js';
import {
  archivedOf,
  enteredIn,
  profiledEvents,
  walkArchive,
} from '../../../worker/rederive/shared.postgres.js';
import { admittedEvent } from '../../admitted-event.js';
import { quietLogger, quietMetrics } from '../../quiet.js';
import { Chance } from '../chance.js';
import { definitionOf, ROLLOVER_MS } from '../game.js';
import { healPartsOf, healSharedOf, type HealEngines } from '../heal-parts.js';
import { simSigner } from '../signer.js';
import { applyBatches } from './two-engines-batches.js';
import type { Columns, Engine } from './two-engines.js';

const definitions = {
  inForce: async (gameId: string) => definitionOf(gameId, 2),
  version: async (gameId: string, version: number) => definitionOf(gameId, version),
};
const view = {
  refresh: async () => undefined,
  refreshPlayer: async () => undefined,
  refreshSubjects: async () => undefined,
};
const PLAYERS = ['p-0', 'p-1', 'p-2', 'p-3', 'ghost', 'nobody'];
const XP_OF_THE_DAY = { gameId: 'demo', board: 'xp', cycle: 'daily:2026-11-20', partition: '' };

/** What is known to be broken in a hand, or a fault of ours, can break: each is found and made again, or told. */
const BREAKS: readonly (readonly [table: string, where: Columns, change: Columns | null])[] = [
  ['player_progress', { player_id: 'p-0' }, { total_xp: 7, level: 1 }],
  ['player_progress', { player_id: 'p-1' }, null],
  ['player_progress', { player_id: 'p-2' }, { updated_at_ms: 1, definition_version: 1 }],
  ['receipts', { player_id: 'p-3', grant_key: 'boss:b-0:trophy' }, null],
  ['board_scores', { subject: 'p-0', board: 'xp', cycle: 'all-time:all' }, { score: 1 }],
  ['board_scores', { subject: 'p-0', board: 'xp', cycle: 'daily:2026-11-20' }, { score: 1 }],
  ['board_scores', { subject: 'p-1', board: 'boss-time' }, null],
  ['board_scores', { subject: 'p-2', board: 'latest' }, { subject: 'ghost' }],
  ['board_scores', { subject: 'g-0' }, { score: 1 }],
  ['board_scores', { subject: 'g-1' }, null],
  ['player_profiles', { player_id: 'p-1' }, { events: 1 }],
  ['player_profiles', { player_id: 'p-2' }, { events: 9_999 }],
  ['player_profiles', { player_id: 'p-3' }, null],
];

const gain = (n: number, deltaXp: number): AdmittedEvent =>
  admittedEvent({
    ...{ id: `late-${String(n)}`, playerId: 'p-1', tsMs: ROLLOVER_MS - 30_000 + n, definitionVersion: 2 },
    payload: { deltaXp, activity: 'quest' },
  });

const deliveryOf = (event: AdmittedEvent, n: number): Delivery => ({
  ...{ gameId: event.gameId, playerId: event.playerId, messageId: String(n), position: `9/${String(n)}` },
  ...{ headers: {}, attempt: 1, body: encodeEvent(event) },
});

/** What the healing of players and boards finds, makes and leaves, and what each of its statements reads. */
export async function healBoth(engine: Engine): Promise<unknown[]> {
  const { db } = engine;
  const told: unknown[] = [];
  const tell = async (work: Promise<unknown>): Promise<void> =>
    void told.push(plain(await engine.finish(work)));
  const engines: HealEngines = { db, definitions, view, clock: steppingClock(), random: new Chance(5) };
  const parts = healPartsOf(engines);
  const heal = (isDryRun = false): Promise<void> => tell(healPlayers('demo', PLAYERS, parts, isDryRun));
  const give = <State, Changes>(
    role: Role<State, Changes>,
    events: readonly AdmittedEvent[],
  ): Promise<unknown> => {
    const shared = { db, role, definitions, deadLetters: createDeadLetters({ db, codeVersion: 'test' }) };
    const quiet = { clock: systemClock, random: new Chance(3), metrics: quietMetrics, logger: quietLogger };
    return engine.finish(createDispatch({ ...shared, ...quiet })(events.map(deliveryOf)));
  };
  await applyBatches(engine);
  await engine.age();
  await heal();
  // What progression counted and the archive has not: followed, kept, waited for, and there at last.
  const late = [gain(1, 40), gain(2, 2)];
  await give(createProgressionRole({ definitions, signer: simSigner }), late);
  await give(leaderboardRole(view), late.slice(1));
  await heal();
  await engine.age();
  await heal();
  await tell(reads(db));
  await give(archiveRole, late.slice(0, 1));
  await heal();
  await give(archiveRole, late);
  await heal();
  await engine.finish(close(db));
  for (const [table, where, change] of BREAKS) await engine.tamper(table, where, change);
  await heal(true);
  await heal();
  await tell(healSharedOf('demo', engines, true));
  await tell(db.transaction((sql) => makeProfile(sql, { gameId: 'demo', playerId: 'p-2' }, true)));
  await heal();
  await tell(healSharedOf('demo', engines, false));
  await heal();
  await tell(reads(db));
  await tell(walks(db));
  return told;
}

const close = (db: Engine['db']): Promise<unknown> =>
  postgresSnapshots(db).close(
    { key: XP_OF_THE_DAY, closesAtMs: ROLLOVER_MS, definitionVersion: 1 },
    'desc',
    ROLLOVER_MS + 99_000,
  );

const LANES = Array.from({ length: 256 }, (_, lane) => lane);

/** Each reading statement by itself, of everything, of a part, and page by page. */
async function reads(sql: Sql): Promise<unknown[]> {
  const player = { gameId: 'demo', playerId: 'p-1' };
  const strangers = await strangersOf(sql, 'progression', 'demo', LANES, 0, 99);
  const entered = await enteredIn(sql, 'leaderboard', 'demo', { fromMs: 0, toMs: null }, 999);
  const start = { playerId: '', tsMs: -1, identity: '00000000-0000-0000-0000-000000000000' };
  const page = await walkArchive(sql, 'progression', 'demo', 4e12, start, 60);
  const scores = await scoresAfter(sql, 'demo', ['xp', 'guilds'], null, 9);
  return [
    await settledOf(sql, 'leaderboard', player, 999),
    strangers,
    await strangersOf(sql, 'progression', 'demo', LANES.slice(0, 1), 0, 99),
    await stillStrange(sql, strangers, player),
    await keptStrangersOf(sql, 'progression', 'demo', 99),
    (await followedThrough(sql, 'fairness')) > 0,
    entered,
    await archivedOf(sql, 'demo', entered.slice(0, 9), { fromMs: 0, toMs: 4e12 }),
    await archivedOf(sql, 'demo', entered, { fromMs: 4e12, toMs: null }),
    page,
    await walkArchive(sql, 'leaderboard', 'demo', 0, page.at(-1) ?? start, 60),
    await profiledEvents(sql, 'demo'),
    scores,
    await scoresAfter(sql, 'demo', ['xp', 'guilds'], scores.at(-1) ?? null, 9),
    await keysOfSubject(sql, player),
    (await ledgerOf(sql, player)).map(({ place: _, ...row }) => row),
    await grantsOf(sql, player),
    await weigh(sql, 'demo', PLAYERS),
    await eventsOf(sql, 'demo', ['p-1']),
    await effectsOfPlayers(sql, 'demo', PLAYERS),
  ];
}

async function walks(db: Engine['db']): Promise<unknown[]> {
  const { claim, reached } = postgresWalks(db);
  const first = await claim('truth', 0);
  await reached('truth', ['demo', 'p-1']);
  const pages = [];
  for (const after of ['', 'g-1', 'p-2']) {
    pages.push(await playersAfter(db, { gameId: 'demo', playerId: after }, 3));
    pages.push(await playersAfter(db, { gameId: '', playerId: after }, 3, 'rival'));
  }
  return [first, await claim('truth', 3_600), await claim('truth', 0), pages, await gamesOf(db)];
}

/** As both engines tell it: identities without dashes, rows and lists in one order, hashes by their beginning. */
function plain(told: unknown): unknown {
  if (Array.isArray(told)) return told.map(plain).sort((a, b) => (textOf(a) < textOf(b) ? -1 : 1));
  if (typeof told === 'string') return told.replaceAll(/(?<=[0-9a-f]{4,})-(?=[0-9a-f]{4})/g, '');
  if (typeof told !== 'object' || told === null) return told;
  return Object.fromEntries(Object.entries(told).map(([name, value]) => [name, plain(value)]));
}

const textOf = (value: unknown): string => canonicalJson((value ?? null) as JsonValue);
