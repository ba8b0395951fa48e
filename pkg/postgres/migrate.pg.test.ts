import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { emptyDatabase, type TestDatabase } from '../testkit/postgres.js';
import { migrate, pendingMigrations, shippedMigrations } from './migrate.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await emptyDatabase();
});
afterAll(() => database.close());

test('two processes that migrate at once apply each migration once', async () => {
  const names = shippedMigrations().map((migration) => migration.name);
  expect(await pendingMigrations(database.db)).toEqual(names);
  const [first, second] = await Promise.all([migrate(database.db), migrate(database.db)]);
  expect([...first, ...second].sort()).toEqual(names);
  expect(await pendingMigrations(database.db)).toEqual([]);
});

test('an applied migration that was edited is refused', async () => {
  await database.db.query("UPDATE schema_migrations SET sha256 = 'other'");
  await expect(migrate(database.db)).rejects.toMatchObject({ code: 'migration_changed' });
});

test('a database that is ahead of this version is refused', async () => {
  await database.db.query('DELETE FROM schema_migrations');
  await database.db.query("INSERT INTO schema_migrations (name, sha256) VALUES ('9999_future.sql', 'x')");
  await expect(migrate(database.db)).rejects.toMatchObject({ code: 'schema_newer' });
});

test('the partition of a month is made on demand, once, by whoever comes first', async () => {
  await Promise.all(
    ['2026-11-20', '2026-11-01', '2028-02-29'].map((day) =>
      database.db.query('SELECT ensure_month($1)', [day]),
    ),
  );
  const rows = await database.db.query<{ relname: string }>(
    "SELECT relname FROM pg_class WHERE relname LIKE 'inbox_2%' AND relkind = 'r' ORDER BY 1",
  );
  expect(rows.map((row) => row.relname)).toEqual(['inbox_202611', 'inbox_202802']);
});
