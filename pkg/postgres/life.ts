import { FairtallyError } from '../kernel/errors.js';
import type { Beat, Sql } from './port.js';

const missing = (): FairtallyError =>
  new FairtallyError('no_life', 'the database has no row in database_life: run `fairtally restored`');

/** Which life of the database this is. */
export async function readLife(sql: Sql): Promise<string> {
  const [row] = await sql.query<{ life: string }>('SELECT life FROM database_life');
  if (row === undefined) throw missing();
  return row.life;
}

/** Moves the database on by one, durably. */
export async function beat(sql: Sql): Promise<Beat> {
  const [row] = await sql.query<Beat>('UPDATE database_life SET beats = beats + 1 RETURNING life, beats');
  if (row === undefined) throw missing();
  return row;
}

const BEGIN = `
  INSERT INTO database_life AS l (life) VALUES (gen_random_uuid())
  ON CONFLICT (only_one) DO UPDATE SET life = excluded.life, begun_at = now()
   WHERE $1::uuid IS NULL OR l.life = $1
  RETURNING life`;

/** Begins another life, after a certain one or whichever it is. Of many that begin one after the same life one does; the others get its. */
export async function beginLife(sql: Sql, after: string | null): Promise<string> {
  const [begun] = await sql.query<{ life: string }>(BEGIN, [after]);
  return begun?.life ?? (await readLife(sql));
}
