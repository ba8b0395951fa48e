import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createGameDatabase } from '../admin/game-database.postgres.js';
import { systemClock } from '../kernel/clock.js';
import { emptyDatabase, testDatabase, type TestDatabase } from '../testkit/postgres.js';
import { refuseUnsafeRole } from './acting-role.js';
import { createDatabase } from './database.js';
import type { DatabaseRole } from './database-roles.js';
import { migrate } from './migrate.js';
import type { Database } from './port.js';

let database: TestDatabase;
let api: Database;
let worker: Database;

beforeAll(async () => {
  database = await testDatabase();
  api = createDatabase({ url: database.url, poolSize: 2, role: 'fairtally_api' });
  worker = createDatabase({ url: database.url, poolSize: 2, role: 'fairtally_worker' });
  await database.db.query("SELECT ensure_month('2026-11-20')");
});
afterAll(async () => {
  await api.close();
  await worker.close();
  await database.close();
});

interface TableWalls {
  readonly name: string;
  readonly isPartition: boolean;
  readonly owner: string;
  readonly isForced: boolean;
  readonly policies: readonly string[];
  readonly isGranted: boolean;
}

const tablesOfGames = (): Promise<TableWalls[]> =>
  database.db.query<TableWalls>(
    `SELECT c.relname AS name, c.relispartition AS "isPartition", pg_get_userbyid(c.relowner) AS owner,
            c.relrowsecurity AND c.relforcerowsecurity AS "isForced",
            ARRAY(SELECT polname::text FROM pg_policy p WHERE p.polrelid = c.oid ORDER BY 1) AS policies,
            has_any_column_privilege('fairtally_api', c.oid, 'SELECT, INSERT, UPDATE') OR
            has_any_column_privilege('fairtally_worker', c.oid, 'SELECT, INSERT, UPDATE') AS "isGranted"
       FROM pg_class c
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'game_id' AND NOT a.attisdropped)`,
  );

describe('the wall between games', () => {
  test('row 69: every table with a game_id is behind it, and its partitions are granted to nobody', async () => {
    const tables = await tablesOfGames();
    expect(tables.length).toBeGreaterThan(20);
    for (const { name, isPartition, owner, isForced, policies, isGranted } of tables) {
      expect({ name, owner }).toEqual({ name, owner: 'fairtally_owner' });
      if (isPartition) expect({ name, isGranted }).toEqual({ name, isGranted: false });
      else {
        expect({ name, isForced }).toEqual({ name, isForced: true });
        expect(policies).toEqual(expect.arrayContaining(['all_games', 'one_game']));
      }
    }
    expect(await database.db.query('SELECT polname FROM pg_policy WHERE NOT polpermissive')).toEqual([]);
    expect(tables.filter(({ isPartition }) => isPartition).map(({ name }) => name)).toContain('inbox_202611');
  });

  test('row 69: the API sees the game it names in its transaction, none when it names none, and writes to no other', async () => {
    for (const game of ['one', 'two'])
      await database.db.query(
        `INSERT INTO player_state (game_id, player_id, hidden, revision, changed_by) VALUES ($1, 'p', false, 1, 't')`,
        [game],
      );
    const games = createGameDatabase(api, systemClock);
    const actor = { userId: null, name: 'nobody', requestId: 'r' };
    const seen = (sql: Pick<Database, 'query'>): Promise<{ game_id: string }[]> =>
      sql.query<{ game_id: string }>('SELECT game_id FROM player_state ORDER BY 1');
    expect(await games.read('one', seen)).toEqual([{ game_id: 'one' }]);
    expect(await seen(api)).toEqual([]); // the same connections: what a transaction named is gone with it
    await expect(games.read('', seen)).rejects.toThrow('must name its game');
    expect(await seen(worker)).toEqual([{ game_id: 'one' }, { game_id: 'two' }]);

    const touch = (game: string): Promise<unknown> =>
      games.change('one', actor, async ({ sql, audit }) => {
        audit({ action: 'test.touch', subject: 'p' });
        return sql.query(`UPDATE player_state SET reason = 'x' WHERE game_id = $1 RETURNING 1`, [game]);
      });
    expect(await touch('one')).toHaveLength(1);
    expect(await touch('two')).toHaveLength(0);
    const insert = games.change('one', actor, ({ sql }) =>
      sql.query(
        `INSERT INTO player_state (game_id, player_id, hidden, revision, changed_by) VALUES ('two', 'q', true, 1, 't')`,
      ),
    );
    await expect(insert).rejects.toThrow();
  });

  test('what events made the API may read and never write, and of secrets it reads no more than it needs', async () => {
    for (const statement of [
      'DELETE FROM player_state',
      'UPDATE board_scores SET score = 1',
      'INSERT INTO progress_events SELECT * FROM progress_events',
      'DELETE FROM admin_audit',
      "UPDATE admin_audit SET action = 'x'",
      'SELECT session_master FROM games',
      'SELECT secret FROM receipt_keys',
      'SELECT * FROM inbox_202611',
      'CREATE TABLE mine (a int)',
    ])
      await expect(api.query(statement).then(() => statement)).rejects.toThrow();
  });

  test('a worker makes partitions without owning them, and reads no hash of a password', async () => {
    await worker.query("SELECT ensure_month('2031-05-05')");
    const made = (await tablesOfGames()).find(({ name }) => name === 'inbox_203105');
    expect(made).toMatchObject({ owner: 'fairtally_owner', isGranted: false });
    await expect(worker.query('SELECT password_hash FROM admin_users')).rejects.toThrow();
  });
});

describe('the role that a process acts as', () => {
  const named = `t_${randomBytes(6).toString('hex')}`;
  const logins = ['bypass', 'owner', 'stranger', 'defaults'].map((kind) => `${named}_${kind}`);
  beforeAll(async () => {
    const { query } = database.db;
    await query(`CREATE ROLE ${named}_bypass LOGIN BYPASSRLS`);
    await query(`CREATE ROLE ${named}_owner LOGIN IN ROLE fairtally_owner`);
    await query(`CREATE ROLE ${named}_stranger LOGIN`);
    await query(`CREATE ROLE ${named}_defaults LOGIN NOINHERIT IN ROLE fairtally_worker`);
    await query(`ALTER ROLE ${named}_defaults SET role = 'fairtally_worker'`);
  });
  afterAll(async () => {
    for (const login of logins) await database.db.query(`DROP ROLE ${login}`);
  });
  /** As the login alone, as when a pooler drops what a session asks for, or as the role that it asks for. */
  const start = async (login: string, role?: DatabaseRole): Promise<void> => {
    const url = new URL(database.url);
    url.username = `${named}_${login}`;
    const asked = role === undefined ? {} : { role };
    const db = createDatabase({ url: url.toString(), poolSize: 1, ...asked });
    try {
      await refuseUnsafeRole(db, role ?? 'fairtally_worker');
    } finally {
      await db.close();
    }
  };

  test('row 69: is refused when row-level security does not bind it: a superuser, an owner, BYPASSRLS', async () => {
    const asSuperuser = refuseUnsafeRole(database.db, 'fairtally_worker');
    await expect(asSuperuser).rejects.toMatchObject({ code: 'unsafe_database_role' });
    await expect(start('bypass')).rejects.toThrow('has BYPASSRLS');
    await expect(start('owner')).rejects.toThrow('owns tables');
    await refuseUnsafeRole(api, 'fairtally_api');
    await refuseUnsafeRole(worker, 'fairtally_worker');
  });

  test('row 69: is the one that was asked for, also where a pooler drops what a session asks for', async () => {
    await expect(start('stranger')).rejects.toThrow(
      `ALTER ROLE ${named}_stranger SET role = 'fairtally_worker'`,
    );
    await expect(refuseUnsafeRole(worker, 'fairtally_api')).rejects.toThrow('is not fairtally_api');
    await start('defaults');
  });

  test('is told when the user of the database may not have it, or when there is none yet', async () => {
    await expect(start('stranger', 'fairtally_worker')).rejects.toMatchObject({
      code: 'database_role_refused',
      message: expect.stringContaining('GRANT fairtally_worker TO that user'),
    });
    await expect(start('defaults', 'nobody' as DatabaseRole)).rejects.toMatchObject({
      code: 'database_roles_missing',
    });
  });

  test('stands beside settings of the URL, which neither undo it nor are undone', async () => {
    const url = `${database.url}?options=-c%20role=none%20-c%20work_mem=7MB`;
    const db = createDatabase({ url, role: 'fairtally_worker', poolSize: 1 });
    const seen = await db.query(`SELECT current_user AS "user", current_setting('work_mem') AS "workMem"`);
    expect(seen).toEqual([{ user: 'fairtally_worker', workMem: '7MB' }]);
    await db.close();
  });
});

test('a database user who may not make roles is told what an administrator has to run, and nothing is changed', async () => {
  const empty = await emptyDatabase();
  const user = `u_${randomBytes(6).toString('hex')}`;
  const url = new URL(empty.url);
  try {
    await empty.db.query(`CREATE ROLE ${user} LOGIN`);
    await empty.db.query(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO ${user}`);
    url.username = user;
    const db = createDatabase({ url: url.toString(), poolSize: 1 });
    await expect(migrate(db)).rejects.toMatchObject({
      code: 'database_roles_missing',
      message: expect.stringContaining(`GRANT fairtally_owner, fairtally_worker, fairtally_api TO ${user};`),
    });
    await empty.db.query(`GRANT fairtally_owner, fairtally_worker, fairtally_api TO ${user}`);
    expect(await migrate(db)).toContain('0003_admin.sql');
    expect(await migrate(db)).toEqual([]);
    await db.close();
  } finally {
    await empty.db.query(`ALTER DATABASE ${url.pathname.slice(1)} OWNER TO CURRENT_USER`).catch(() => []);
    await empty.close();
    await database.db.query(`DROP ROLE IF EXISTS ${user}`).catch(() => []); // what it still has in other databases keeps it
  }
});
