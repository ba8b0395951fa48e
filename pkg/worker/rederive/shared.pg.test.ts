import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { auditGame } from '../../audit/audit.js';
import {
  applyToArchive,
  applyToRoles,
  auditParts,
  definitions,
  deliveryOf,
  handlersOf,
  playedEvents,
  prepareGame,
} from '../../audit/fixtures.js';
import type { AdmittedEvent } from '../../contract/event.js';
import type { Clock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { subjectRederivation } from '../../leaderboard/rederive-subjects.js';
import type { Database, Sql } from '../../postgres/port.js';
import { admittedEvent } from '../../testkit/admitted-event.js';
import { eventually } from '../../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { healParts, steppingClock } from './fixtures.js';
import { healPlayers } from './heal.js';
import { rederiveShared, type SharedHealed } from './shared.js';

let server: TestDatabase;
let refreshed: string[] = [];
const open = async (): Promise<void> => {
  server = await testDatabase();
  await prepareGame(server.db);
  await applyToRoles(server.db, playedEvents());
};
const close = (): Promise<void> => server.close();

const heal = (
  db: Database = server.db,
  { clock = steppingClock(), isDryRun = false }: { clock?: Clock; isDryRun?: boolean } = {},
): Promise<SharedHealed> => {
  refreshed = [];
  const view = {
    refresh: async () => undefined,
    refreshSubjects: async (_key: object, _board: object, subjects: readonly string[]) => {
      refreshed.push(...subjects);
    },
  };
  const rederivation = subjectRederivation({
    definitions,
    view,
    gameId: 'demo',
    boards: new Set(['guilds']),
  });
  const parts = {
    db,
    definitions,
    clock,
    random: systemRandom,
    gameId: 'demo',
    rederivation,
    label: 'guilds',
  };
  return rederiveShared(parts, isDryRun);
};
const kinds = ({ healed }: SharedHealed): string[] =>
  healed.map(({ playerId, verdict }) => `${playerId} ${verdict.kind}`).sort();
const audit = async (): Promise<readonly object[]> =>
  (await auditGame('demo', { db: server.db, ...auditParts })).differences;
const guilds = (): Promise<{ subject: string; score: number; revision: number }[]> =>
  server.db.query("SELECT * FROM board_scores WHERE board = 'guilds' ORDER BY subject");

const RAISED = "UPDATE board_scores SET score = score + 7 WHERE board = 'guilds' AND subject = 'red'";
const DAMAGE: [string, string, string][] = [
  ['raised', RAISED, 'red'],
  ['lowered', RAISED.replace('+ 7', '- 7'), 'red'],
  ['reached at another time', RAISED.replace('score = score + 7', 'reached_at = 1'), 'red'],
  ['deleted', "DELETE FROM board_scores WHERE board = 'guilds' AND subject = 'blue'", 'blue'],
  [
    'invented',
    "INSERT INTO board_scores VALUES ('demo', 'guilds', 'all-time:all', '', 'ghosts', 9, 1, 'e', 1, 4)",
    'ghosts',
  ],
];

/** As if it had been settled long ago: then it is counted in the walk, not read as what came lately. */
const AGE = (condition: string): string =>
  `UPDATE inbox SET settled_at = now() - interval '1 hour' WHERE ${condition}`;

describe.each([
  ['long ago', AGE('true')],
  ['long ago and lately', AGE('get_byte(content_hash, 0) % 2 = 0')],
])('events that were settled %s', (_, aged) => {
  beforeAll(async () => {
    await open();
    await server.db.query(aged);
  }); // each test leaves it exact
  afterAll(close);

  test('make what stands: nobody is named, nothing changes', async () => {
    const before = await guilds();
    expect(before).toHaveLength(2);
    expect(await heal()).toEqual({ healed: [], left: [], isCut: false });
    expect(await guilds()).toEqual(before);
  });

  test.each(DAMAGE)('make a row again that was %s', async (__, statement, subject) => {
    const before = await guilds();
    await server.db.query(statement);
    const broken = await guilds();
    expect(await audit()).toHaveLength(1);
    expect(kinds(await heal(undefined, { isDryRun: true }))).toEqual([`${subject} wrong`]);
    expect(await guilds()).toEqual(broken);
    const { healed, left } = await heal();
    expect(kinds({ healed, left, isCut: false })).toEqual([`${subject} repaired`]);
    expect(left).toEqual([]);
    const plain = ({ subject: of, score }: { subject: string; score: number }): unknown => [of, score];
    expect((await guilds()).map(plain)).toEqual(before.map(plain));
    expect(await audit()).toEqual([]);
  });
});

/** The database, of which a test sees every statement before it runs. */
const watched = (db: Database, before: (text: string) => Promise<void>): Database => {
  const seen = (sql: Sql): Sql => ({
    query: async <Row extends object>(text: string, values: readonly unknown[] = []) => {
      await before(text);
      return sql.query<Row>(text, values);
    },
  });
  return {
    ...db,
    ...seen(db),
    transaction: (work, options) => db.transaction((sql) => work(seen(sql)), options),
  };
};

/** Does something once, before the statement that matches. */
function once(pattern: RegExp, work: () => Promise<void>): { db: Database; isDone: () => boolean } {
  let isDone = false;
  const db = watched(server.db, async (text) => {
    if (isDone || !pattern.test(text)) return;
    isDone = true;
    await work();
  });
  return { db, isDone: () => isDone };
}

const untilWaiting = (): Promise<void> =>
  eventually('a transaction waits for a lock', async () => {
    const rows = await server.db.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    );
    return rows.length > 0;
  });

const LATER_MS = Date.UTC(2026, 10, 20, 1);
const gain = (id: string, guild = 'red', playerId = 'p-1'): AdmittedEvent =>
  admittedEvent({ id, playerId, tsMs: LATER_MS, payload: { deltaXp: 1_000, guild } });
const toLeaderboard = (events: readonly AdmittedEvent[], db: Database = server.db): Promise<unknown> =>
  handlersOf(db).leaderboard(events.map(deliveryOf));

const WALKS = /e\.player_id, e\.ts_ms, e\.identity\) >/;
const GAPS: [string, RegExp][] = [
  ['before the archive is walked', WALKS],
  ['while the archive is walked', /sum\(events\)/],
  ['after the archive was walked', /i\.game_id = \$2 AND i\.definition_version > 0/],
  ['while rows are looked at', /AND board = ANY\(\$2\) AND/],
  ['between the look and the lock', /FOR UPDATE/],
];

describe('events that come', () => {
  beforeAll(open); // each test leaves it exact
  afterAll(close);
  beforeEach(() => server.db.query(AGE('get_byte(content_hash, 0) % 2 = 0')));

  const GUILDS = ['red', 'a new one'];
  test.each(GAPS.flatMap(([name, pattern]) => GUILDS.map((guild) => ({ name, pattern, guild }))))(
    '$name, of $guild, count once',
    async ({ name, pattern, guild }) => {
      const events = [gain(`${name} 1 ${guild}`, guild), gain(`${name} 2 ${guild}`, guild, `new ${name}`)];
      await server.db.query(RAISED);
      const { db, isDone } = once(pattern, () => applyToRoles(server.db, events).then(() => undefined));
      expect(kinds(await heal(db))).toEqual(['red repaired']);
      expect(isDone()).toBe(true);
      expect(await audit()).toEqual([]);
    },
  );

  test('while the row is locked wait for it, and add to what was made', async () => {
    const events = [gain('waits')];
    await applyToArchive(server.db, events);
    await server.db.query(RAISED);
    let isLocked = false;
    let batch: Promise<unknown> = Promise.resolve();
    const db = watched(server.db, async (text) => {
      if (/FOR UPDATE/.test(text)) isLocked = true;
      else if (isLocked && /FROM inbox/.test(text)) {
        isLocked = false;
        batch = toLeaderboard(events);
        await untilWaiting();
      }
    });
    expect(kinds(await heal(db))).toEqual(['red repaired']);
    await batch;
    await applyToRoles(server.db, events);
    expect(await audit()).toEqual([]);
  });

  test('and hold the row are waited for, and counted', async () => {
    const events = [gain('holds'), gain('holds a new row', 'newest')];
    await applyToArchive(server.db, events);
    await server.db.query(RAISED);
    let healing: Promise<SharedHealed> | null = null;
    const { db } = once(/INSERT INTO role_counters/, async () => {
      healing = heal();
      await untilWaiting();
    });
    await toLeaderboard(events, db);
    expect(kinds((await healing) ?? { healed: [], left: [], isCut: false })).toEqual(['red repaired']);
    await applyToRoles(server.db, events);
    expect(await audit()).toEqual([]);
  });

  test('and are not archived yet are waited for under the lock', async () => {
    const events = [gain('ahead')];
    await server.db.query(RAISED);
    const { db } = once(/FOR UPDATE/, () => toLeaderboard(events).then(() => undefined));
    const clock = steppingClock(() => applyToArchive(server.db, events));
    expect(kinds(await heal(db, { clock }))).toEqual(['red repaired']);
    await applyToRoles(server.db, events);
    expect(await audit()).toEqual([]);
  });
});

describe('on a database of its own:', () => {
  beforeEach(open);
  afterEach(close);

  test('what the archive does not get is not taken from anybody, and is told', async () => {
    const { db } = once(/FOR UPDATE/, () => toLeaderboard([gain('never')]).then(() => undefined));
    await server.db.query(RAISED);
    expect(kinds(await heal(db))).toEqual(['guilds moving']);
    const before = await guilds();
    expect(kinds(await heal())).toEqual(['guilds moving']);
    expect(await guilds()).toEqual(before);
  });

  test.each([
    ['has lost an event', "DELETE FROM events WHERE event_id = 'progression-p-1-0'"],
    ['has one twice', "INSERT INTO events SELECT * FROM events WHERE event_id = 'progression-p-1-0'"],
    ['has other content', "UPDATE events SET content_hash = 'other' WHERE event_id = 'progression-p-1-0'"],
  ])('an archive that %s: nothing is made from it', async (_, statement) => {
    await server.db.query(AGE('true'));
    await server.db.query(statement);
    await server.db.query(RAISED);
    const before = await guilds();
    expect(kinds(await heal())).toEqual(['guilds blocked']);
    expect(await guilds()).toEqual(before);
  });

  test('hidden players count for their guild, and barred events do not', async () => {
    const { db } = server;
    await db.query(
      "INSERT INTO player_state (game_id, player_id, hidden, revision, changed_by) VALUES ('demo', 'p-1', true, 1, 'test')",
    );
    expect(await heal()).toMatchObject({ healed: [] });
    await db.query(
      "UPDATE inbox SET definition_version = 0 WHERE role = 'leaderboard' AND identity = (SELECT identity FROM events WHERE event_id = 'progression-p-2-0')",
    );
    const red = (await guilds())[1]?.score ?? 0;
    expect(kinds(await heal())).toEqual(['red repaired']);
    expect((await guilds())[1]?.score).toBe(red - 100);
  });

  test('a row that is set anew has a later revision and its view is refreshed; one that was lost voids the view; a closed cycle is revised', async () => {
    const { db } = server;
    await db.query('UPDATE board_cycles SET epoch = 2');
    const revision = (await guilds())[1]?.revision ?? 0;
    await db.query(RAISED);
    await heal();
    expect(refreshed).toEqual(['red']);
    expect((await guilds())[1]?.revision).toBe(revision + 1);
    const cycle = (): Promise<object[]> =>
      db.query("SELECT epoch, revised FROM board_cycles WHERE board = 'guilds'");
    expect(await cycle()).toEqual([{ epoch: 2, revised: false }]);
    await db.query("DELETE FROM board_scores WHERE board = 'guilds' AND subject = 'red'");
    await heal();
    expect(await cycle()).toEqual([{ epoch: 3, revised: false }]);
    await db.query(RAISED);
    await db.query(
      `INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at)
       SELECT game_id, board, cycle, partition, subject, score, reached_at FROM board_scores WHERE board = 'guilds'`,
    );
    await db.query("UPDATE board_cycles SET final_at = now() WHERE board = 'guilds'");
    await heal();
    expect(await cycle()).toEqual([{ epoch: 3, revised: true }]);
    expect(await audit()).toEqual([]);
  });

  test('a rebuild of one board of players leaves every other board as it is', async () => {
    const { db } = server;
    const rows = (): Promise<{ board: string; score: number; revision: number }[]> =>
      db.query("SELECT * FROM board_scores WHERE subject = 'p-1' ORDER BY board, cycle, partition");
    const before = await rows();
    await db.query("UPDATE board_scores SET score = 1 WHERE subject = 'p-1'");
    await db.query("UPDATE player_progress SET total_xp = 1 WHERE player_id = 'p-1'");
    const parts = healParts(db, steppingClock(), undefined, 'xp');
    const [healed, ...others] = await healPlayers('demo', ['p-1', 'p-2'], parts);
    expect(others).toEqual([]);
    const wrong = healed?.verdict.kind === 'repaired' ? healed.verdict.wrong : [];
    expect(wrong.map(({ what }) => what.split(' ')[0])).toEqual(['xp', 'xp']);
    expect(await rows()).toEqual(
      before.map((row) =>
        row.board === 'xp' ? { ...row, revision: row.revision + 1 } : { ...row, score: 1 },
      ),
    );
    expect(await healPlayers('demo', ['p-1', 'p-2'], parts)).toEqual([]);
  });

  test('rows that are broken again and again are made again while events flow', async () => {
    const events = Array.from({ length: 60 }, (_, n) =>
      gain(`flow ${String(n)}`, ['red', 'blue', 'green'][n % 3], `p-${String(n % 7)}`),
    );
    const flow = async (role: 'archive' | 'leaderboard', batch: number): Promise<void> => {
      for (let at = 0; at < events.length; at += batch)
        await handlersOf(server.db)[role](events.slice(at, at + batch).map(deliveryOf));
    };
    let isFlowing = true;
    const breaking = async (): Promise<void> => {
      while (isFlowing) {
        await server.db.query(RAISED);
        await server.db.query("DELETE FROM board_scores WHERE board = 'guilds' AND subject = 'green'");
        await heal();
      }
    };
    const broken = breaking();
    await Promise.all([flow('archive', 3), flow('leaderboard', 4)]);
    isFlowing = false;
    await broken;
    await applyToRoles(server.db, events);
    await heal();
    expect(await audit()).toEqual([]);
  });
});
