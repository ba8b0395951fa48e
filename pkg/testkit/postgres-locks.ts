import type { Database } from '../postgres/port.js';

/**
 * As long as `work` runs, whoever reads one of these tables (unless named: any) waits for a lock. `waiting` counts them.
 */
export const whileLocked = <T>(
  db: Database,
  work: (waiting: () => Promise<number>) => Promise<T>,
  tables?: readonly string[],
): Promise<T> =>
  db.transaction(async (sql) => {
    const named = tables?.map((table) => ({ table }));
    const all =
      named ??
      (await sql.query<{ table: string }>(
        'SELECT quote_ident(tablename) AS table FROM pg_tables WHERE schemaname = current_schema()',
      ));
    await sql.query(`LOCK TABLE ${all.map(({ table }) => table).join(', ')} IN ACCESS EXCLUSIVE MODE`);
    return work(async () => {
      const [found] = await sql.query<{ waiting: number }>(
        `SELECT count(*) AS waiting FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return found?.waiting ?? 0;
    });
  });
