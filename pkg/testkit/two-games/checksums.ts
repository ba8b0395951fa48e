import type { Sql } from '../../postgres/port.js';
import type { Things } from './seed.js';

/** What a game has, table by table: equal as long as no byte of it changed. Views in Redis are made of it, and heal in their own time. */
export type Checksums = Readonly<Record<string, string>>;

export type TakeChecksums = (of: Things) => Promise<Checksums>;

/** Of every table with a game_id, and of the game's people and their sessions. */
export async function checksumTaker(sql: Sql): Promise<TakeChecksums> {
  const tables = await sql.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'game_id'
      WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`,
  );
  const sum = (name: string, where: string): string =>
    `SELECT '${name}' AS name, md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) AS sum FROM ${name} t WHERE ${where}`;
  const people = 'user_id = ANY($2::text[])';
  const statement = [
    ...tables.map(({ name }) => sum(name, 'game_id = $1')),
    ...['admin_users', 'admin_sessions'].map((name) => sum(name, people)),
  ].join(' UNION ALL ');
  return async ({ gameId, member, leaver, forgetful }) => {
    const userIds = [member, leaver, forgetful].map(({ userId }) => userId);
    const rows = await sql.query<{ name: string; sum: string }>(statement, [gameId, userIds]);
    return Object.fromEntries(rows.map((row) => [row.name, row.sum]));
  };
}
