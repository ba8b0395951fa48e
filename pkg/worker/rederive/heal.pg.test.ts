import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { auditGame } from '../../audit/audit.js';
import { BREAKS } from '../../audit/breaks.js';
import {
  applyToArchive,
  applyToRoles,
  auditParts,
  deliveryOf,
  handlersOf,
  playedEvents,
  prepareGame,
} from '../../audit/fixtures.js';
import type { AdmittedEvent } from '../../contract/event.js';
import type { Clock } from '../../kernel/clock.js';
import { laneOf } from '../../kernel/lanes.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database, Sql } from '../../postgres/port.js';
import { admittedEvent } from '../../testkit/admitted-event.js';
import { eventually } from '../../testkit/eventually.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { healParts, steppingClock } from './fixtures.js';
import { healPlayers } from './heal.js';
import type { Healed } from './port.js';

let server: TestDatabase;
const open = async (): Promise<void> => {
  server = await testDatabase();
  await prepareGame(server.db);
  await applyToRoles(server.db, playedEvents());
};
const close = (): Promise<void> => server.close();

const PLAYERS = ['p-1', 'p-2', 'p-3', 'ghost'];
const heal = (clock?: Clock, db: Database = server.db, isDryRun = false): Promise<readonly Healed[]> =>
  healPlayers('demo', PLAYERS, healParts(db, clock), isDryRun);
const audit = async (): Promise<readonly object[]> =>
  (await auditGame('demo', { db: server.db, ...auditParts })).differences;
const kinds = (healed: readonly Healed[]): string[] =>
  healed.map(({ playerId, role, verdict }) => `${playerId} ${role} ${verdict.kind}`);
const truth = (): Promise<object[][]> =>
  Promise.all(
    ['board_scores', 'player_progress', 'progress_events', 'receipts', 'board_cycles'].map((table) =>
      server.db.query(`SELECT to_jsonb(t) - 'updated_at' AS row FROM ${table} t ORDER BY to_jsonb(t)::text`),
    ),
  );

const LATER_MS = Date.UTC(2026, 10, 20, 1);
const gain = (id: string, over: Partial<AdmittedEvent> = {}): AdmittedEvent =>
  admittedEvent({ id, playerId: 'p-1', tsMs: LATER_MS, payload: { deltaXp: 1_000, guild: 'red' }, ...over });
const apply = (
  role: RoleName,
  events: readonly AdmittedEvent[],
  db: Database = server.db,
): Promise<unknown> => handlersOf(db)[role](events.map(deliveryOf));

const WRONG = {
  progression: `UPDATE player_progress SET total_xp = total_xp + 7 WHERE player_id = 'p-1'`,
  leaderboard: `UPDATE board_scores SET score = score + 7 WHERE board = 'xp' AND subject = 'p-1'`,
} as const;

describe('what is broken is made again as it was:', () => {
  beforeAll(open); // each test leaves it exact
  afterAll(close);

  test('what is exact is left as it is, and nobody is named', async () => {
    const before = await truth();
    expect(await heal()).toEqual([]);
    expect(await truth()).toEqual(before);
  });

  const repairable = BREAKS.filter(
    ([name, , kind, , subject]) =>
      ['progress', 'ledger', 'score'].includes(kind) && subject !== 'red' && !name.startsWith('an effect in'),
  );
  const lost = BREAKS.filter(([name]) => name.startsWith('a lost level') || name.startsWith('a lost trophy'));
  const ghosts = BREAKS.filter(([, , kind, , subject]) => kind === 'stranger' && subject === 'ghost');

  test.each([...repairable, ...lost].map(([name, statement]) => ({ name, statement })))(
    '$name',
    async ({ statement }) => {
      await server.db.query(statement);
      expect(await audit()).not.toEqual([]);
      const [healed, ...others] = await heal();
      expect(healed?.verdict.kind).toBe('repaired');
      expect(others).toEqual([]);
      expect(await audit()).toEqual([]);
      expect(await heal()).toEqual([]);
    },
  );

  test.each(ghosts.map(([name, statement]) => ({ name, statement })))('$name', async ({ statement }) => {
    await server.db.query(statement);
    const verdicts = (await heal()).map(({ verdict }) => verdict.kind);
    expect(new Set(verdicts)).toEqual(new Set(['repaired']));
    expect(await audit()).toEqual([]);
  });
});

describe('on a database of its own:', () => {
  beforeEach(open);
  afterEach(close);

  test('a row that is set anew has a later revision; one that was lost or too many voids the view of its cycle', async () => {
    const revision = async (): Promise<unknown> =>
      (
        await server.db.query(
          "SELECT revision FROM board_scores WHERE board = 'best-gain' AND subject = 'p-1'",
        )
      )[0];
    await server.db.query('UPDATE board_cycles SET epoch = 2');
    const before = (await revision()) as { revision: number };
    await server.db.query("UPDATE board_scores SET score = 1 WHERE board = 'best-gain' AND subject = 'p-1'");
    await heal();
    expect(await revision()).toEqual({ revision: before.revision + 1 });
    expect(await server.db.query('SELECT 1 FROM board_cycles WHERE epoch <> 2')).toEqual([]);

    await server.db.query("DELETE FROM board_scores WHERE board = 'best-gain' AND subject = 'p-1'");
    await server.db.query(
      "UPDATE board_scores SET subject = 'ghost' WHERE board = 'last-gain' AND subject = 'p-1'",
    );
    await heal();
    const voided = await server.db.query(
      'SELECT board, epoch FROM board_cycles WHERE epoch <> 2 ORDER BY board',
    );
    expect(voided).toEqual([
      { board: 'best-gain', epoch: 3 },
      { board: 'last-gain', epoch: 3 },
    ]);
    expect(await audit()).toEqual([]);
  });

  test('a dry run tells the same and changes nothing', async () => {
    await server.db.query(WRONG.progression);
    await server.db.query("DELETE FROM board_scores WHERE board = 'xp' AND subject = 'p-1'");
    const before = await truth();
    expect(kinds(await heal(undefined, server.db, true))).toEqual([
      'p-1 progression wrong',
      'p-1 leaderboard wrong',
    ]);
    expect(await truth()).toEqual(before);
  });

  test('receipts that no event causes are told and stay, byte for byte', async () => {
    const statement = BREAKS.find(([name]) => name === 'a grant for nothing')?.[1] ?? '';
    await server.db.query(`${statement} AND player_id = 'p-1'`);
    const receipts = await server.db.query("SELECT * FROM receipts WHERE grant_key = 'boss:nobody:trophy'");
    const [healed] = await heal(); // the trophy whose row that was is due again, and its receipt id is taken
    expect(healed?.verdict.kind).toBe('blocked');
    expect(await server.db.query("SELECT * FROM receipts WHERE grant_key = 'boss:nobody:trophy'")).toEqual(
      receipts,
    );
  });

  test('the snapshot of a final cycle never changes; where the live score is another now, the cycle is revised', async () => {
    const { db } = server;
    const freeze = `INSERT INTO leaderboard_snapshots (game_id, board, cycle, partition, subject, score, reached_at)
      SELECT game_id, board, cycle, partition, subject, score, reached_at FROM board_scores WHERE board = $1`;
    await db.query(freeze, ['xp']);
    await db.query(WRONG.leaderboard); // broken after it closed
    await db.query("UPDATE board_scores SET score = 1 WHERE board = 'best-gain' AND subject = 'p-2'");
    await db.query(freeze, ['best-gain']); // broken before
    await db.query("UPDATE board_cycles SET final_at = now() WHERE board IN ('xp', 'best-gain')");
    const frozen = await db.query('SELECT * FROM leaderboard_snapshots ORDER BY board, cycle, subject');
    await heal();
    expect(await db.query('SELECT * FROM leaderboard_snapshots ORDER BY board, cycle, subject')).toEqual(
      frozen,
    );
    expect(await db.query('SELECT DISTINCT board FROM board_cycles WHERE revised')).toEqual([
      { board: 'best-gain' },
    ]);
    expect(await audit()).toEqual([]);
  });

  describe('an archive that is not whole', () => {
    test.each([
      ['lost an event', `DELETE FROM events WHERE player_id = 'p-1' AND event_id = 'progression-p-1-0'`],
      ['has one twice', `INSERT INTO events SELECT * FROM events WHERE event_id = 'progression-p-1-0'`],
      ['has other content', `UPDATE events SET content_hash = 'other' WHERE event_id = 'progression-p-1-0'`],
    ])('%s: nothing is made from it', async (_, statement) => {
      await server.db.query(statement);
      await server.db.query(WRONG.progression);
      const before = await truth();
      expect(kinds(await heal())).toContain('p-1 progression blocked');
      expect(await truth()).toEqual(before);
    });

    test('misses what is a dead letter there: the player is left, the others of its lane are not', async () => {
      const { db } = server;
      await apply('progression', [gain('dead-1')]);
      await db.query(
        `INSERT INTO dead_letters (role, game_id, player_id, dedupe_day, identity, content_hash, transport_position, reason, detail, attempts, body, headers, code_version)
         SELECT 'archive', game_id, 'p-1', dedupe_day, identity, content_hash, '0/1', 'handler_error', '', 1, '', '{}', '' FROM inbox
          WHERE role = 'progression' AND identity = $1`,
        [gain('dead-1').identity],
      );
      expect(kinds(await heal())).toEqual(['p-1 progression blocked']);
      await db.query('UPDATE inbox SET lane = $1', [laneOf('demo', 'p-2')]);
      await db.query(WRONG.progression.replace('p-1', 'p-2'));
      expect(kinds(await heal())).toContain('p-2 progression repaired');
    });
  });

  describe('what a role counted and the archive has not stored yet', () => {
    test.each(['progression', 'leaderboard'] as const)('is not taken from %s', async (role) => {
      await apply(role, [gain('ahead-1')]);
      const before = await truth();
      expect(kinds(await heal())).toEqual([`p-1 ${role} moving`]);
      expect(await truth()).toEqual(before);
    });

    test.each(['progression', 'leaderboard'] as const)(
      'is waited for under the lock of %s, and counts',
      async (role) => {
        await apply(role, [gain('ahead-2')]);
        await server.db.query(WRONG[role]);
        const clock = steppingClock(() => applyToArchive(server.db, [gain('ahead-2')]));
        expect(kinds(await heal(clock))).toEqual([`p-1 ${role} repaired`]);
        await applyToRoles(server.db, [gain('ahead-2')]);
        expect(await audit()).toEqual([]);
      },
    );
  });

  test('a receipt whose event is still on its way to the archive is not told as one that no event causes', async () => {
    const early = {
      type: 'boss_kill',
      tsMs: LATER_MS - 3_600_000,
      payload: { bossId: 'kraken', durationMs: 9 },
    };
    await apply('progression', [gain('trophy-1', early)]);
    expect(kinds(await heal())).toEqual(['p-1 progression moving']);
    const clock = steppingClock(() => applyToArchive(server.db, [gain('trophy-1', early)]));
    expect(await heal(clock)).toEqual([]);
  });

  test('a level that two versions pay alike is paid again where its receipt is lost', async () => {
    await applyToRoles(server.db, [gain('second', { definitionVersion: 2 })]);
    await server.db.query("DELETE FROM receipts WHERE player_id = 'p-1' AND grant_key = 'level:2:coins'");
    expect(kinds(await heal())).toEqual(['p-1 progression repaired']);
    expect(await server.db.query("SELECT 1 FROM receipts WHERE grant_key = 'level:2:coins'")).toHaveLength(3);
    expect(await audit()).toEqual([]);
  });

  test('rows that are broken again and again are made again while events flow, and nothing is lost or doubled', async () => {
    const events = Array.from({ length: 120 }, (_, n) =>
      gain(`flow-${String(n)}`, {
        playerId: `p-${String((n % 3) + 1)}`,
        tsMs: LATER_MS + n * 1_000_000,
        payload: { deltaXp: 1 + n, guild: 'red' },
      }),
    );
    let isFlowing = true;
    const flow = async (role: RoleName, batch: number): Promise<void> => {
      for (let at = 0; at < events.length; at += batch) await apply(role, events.slice(at, at + batch));
    };
    const breaking = async (): Promise<void> => {
      while (isFlowing) {
        await server.db.query(WRONG.progression);
        await server.db.query(WRONG.leaderboard);
        await server.db.query("DELETE FROM progress_events WHERE player_id = 'p-2' AND delta_xp % 5 = 0");
        await server.db.query("DELETE FROM board_scores WHERE subject = 'p-3' AND board = 'best-gain'");
        await heal();
      }
    };
    const broken = breaking();
    await Promise.all([
      flow('archive', 3),
      flow('progression', 5),
      flow('leaderboard', 4),
      flow('fairness', 20),
    ]);
    isFlowing = false;
    await broken;
    await heal();
    expect(await audit()).toEqual([]);
  });
});

/** The database, of whose next transaction a test sees every statement before it runs. */
const watched = (
  db: Database,
  before: (text: string, values: readonly unknown[]) => Promise<void>,
): Database => ({
  ...db,
  transaction: (work, options) =>
    db.transaction(
      (sql) =>
        work({
          query: async <Row extends object>(text: string, values: readonly unknown[] = []) => {
            if (options?.readOnly !== true) await before(text, values);
            return sql.query<Row>(text, values);
          },
        } satisfies Sql),
      options,
    ),
});

const untilWaiting = (): Promise<void> =>
  eventually('a transaction waits for a lock', async () => {
    const rows = await server.db.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    );
    return rows.length > 0;
  });

/** A gain that makes no new row, and one that makes new ones on the daily board. */
const MEETINGS: [string, (id: string) => AdmittedEvent][] = [
  ['on rows that stand', gain],
  ['on rows that are new', (id) => gain(id, { tsMs: LATER_MS + 86_400_000 })],
  ['of a player who is new', (id) => gain(id, { playerId: 'ghost' })],
];

describe.each(['progression', 'leaderboard'] as const)('a batch of %s meets a rebuild', (role) => {
  beforeAll(open); // each test leaves it exact
  afterAll(close);

  const breakOne = async (playerId: string): Promise<void> => {
    if (playerId !== 'ghost') await server.db.query(WRONG[role]);
    else if (role === 'progression')
      await server.db.query(
        "INSERT INTO player_progress VALUES ('demo', 'ghost', 9, 1, 1, 1, 1) ON CONFLICT (game_id, player_id) DO UPDATE SET total_xp = 9",
      );
    else
      await server.db.query(
        "INSERT INTO board_scores VALUES ('demo', 'xp', 'all-time:all', '', 'ghost', 9, 1, '', 1, 1) ON CONFLICT (game_id, board, cycle, partition, subject) DO UPDATE SET score = 9",
      );
  };

  test.each(MEETINGS)(
    '%s: what it commits while the rebuild waits for its rows is counted',
    async (name, made) => {
      const event = made(`first ${name}`);
      await breakOne(event.playerId);
      await applyToArchive(server.db, [event]);
      let healing: Promise<readonly Healed[]> | null = null;
      const db = watched(server.db, async (text) => {
        if (healing !== null || !/INSERT INTO role_counters/.test(text)) return;
        healing = heal(); // the batch has saved and holds its rows
        await untilWaiting();
      });
      await apply(role, [event], db);
      expect(kinds((await healing) ?? [])).toContain(`${event.playerId} ${role} repaired`);
      await applyToRoles(server.db, [event]);
      expect(await audit()).toEqual([]);
    },
  );

  test.each(MEETINGS)('%s: what waits for the rebuild adds to it', async (name, made) => {
    const event = made(`second ${name}`);
    await breakOne(event.playerId);
    await applyToArchive(server.db, [event]);
    let batch: Promise<unknown> | null = null;
    const db = watched(server.db, async (text) => {
      if (batch !== null || !/FOR SHARE/.test(text)) return;
      batch = apply(role, [event]); // the rebuild has its locks and has not read what counts
      await untilWaiting();
    });
    expect(kinds(await heal(undefined, db))).toContain(`${event.playerId} ${role} repaired`);
    await batch;
    await applyToRoles(server.db, [event]);
    expect(await audit()).toEqual([]);
  });

  test('two rebuilds at once make one change', async () => {
    await breakOne('p-1');
    await breakOne('ghost');
    const [one, other] = await Promise.all([heal(), heal()]);
    const repaired = [...one, ...other].filter(({ verdict }) => verdict.kind === 'repaired');
    expect(repaired.map(({ playerId }) => playerId).sort()).toEqual(['ghost', 'p-1']);
    expect(await audit()).toEqual([]);
  });
});
