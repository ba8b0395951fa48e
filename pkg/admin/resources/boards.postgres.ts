import { pageOf, readCursor, type CursorPart, type PageRequest } from '../../contract/keyset-page.js';
import type { WindowKind } from '../../games/port.js';
import type { Sql } from '../../postgres/port.js';
import { instantOf, instantOrNull, pageAnswer, textOrNull, type Schemas } from './answers.js';

interface CycleRow {
  /** `<window>:<name>` */
  readonly cycle: string;
  readonly partition: string;
  readonly closesAt: Date | null;
  readonly finalAt: Date | null;
  readonly revised: boolean;
  readonly updatedAt: Date;
  readonly definitionVersion: number;
}

export interface CycleQuery extends PageRequest {
  readonly gameId: string;
  readonly board: string;
  readonly window?: WindowKind | undefined;
  readonly partition?: string | undefined;
  readonly nowMs: number;
}

const isCycle: CursorPart = (text) => /^[a-z-]{1,16}:[A-Za-z0-9_.-]{1,64}$/.test(text);
const isPartition: CursorPart = (text) => /^[^\0\p{Surrogate}]{0,256}$/u.test(text);

/** The cycles of a board in which something counted, by name, the last one first: a range of an index. */
export async function listCycles(
  sql: Sql,
  { gameId, board, window, partition, nowMs, limit, cursor }: CycleQuery,
): Promise<Schemas['CyclePage']> {
  const [cycle, after] = readCursor(cursor, [isCycle, isPartition]) ?? [null, null];
  const values: unknown[] = [gameId, board, cycle, after, limit + 1];
  const value = (text: string): string => `$${String(values.push(text))}`;
  const ofPartition = partition === undefined ? '' : `AND partition = ${value(partition)}`;
  // Names of a window are those between `daily:` and `daily;`, by bytes.
  const ofWindow =
    window === undefined ? '' : `AND cycle >= ${value(`${window}:`)} AND cycle < ${value(`${window};`)}`;
  const rows = await sql.query<CycleRow>(
    `SELECT cycle, partition, closes_at AS "closesAt", final_at AS "finalAt", revised, updated_at AS "updatedAt",
            definition_version AS "definitionVersion"
       FROM board_cycles
      WHERE game_id = $1 AND board = $2 ${ofPartition} ${ofWindow}
        AND ($3::text IS NULL OR (cycle, partition) < ($3, $4))
      ORDER BY cycle DESC, partition DESC LIMIT $5`,
    values,
  );
  const page = pageOf(
    rows,
    limit,
    (row) => [row.cycle, row.partition],
    (row) => cycleOf(row, nowMs),
  );
  return pageAnswer(page, (item) => item);
}

function cycleOf(row: CycleRow, nowMs: number): Schemas['CycleItem'] {
  const colon = row.cycle.indexOf(':');
  const isOver = row.closesAt !== null && row.closesAt.getTime() <= nowMs;
  return {
    window: row.cycle.slice(0, colon) as WindowKind,
    cycle: row.cycle.slice(colon + 1),
    partition: textOrNull(row.partition),
    state: row.finalAt !== null ? 'final' : isOver ? 'closing' : 'live',
    closesAt: instantOrNull(row.closesAt?.getTime() ?? null),
    finalAt: instantOrNull(row.finalAt?.getTime() ?? null),
    isRevised: row.revised,
    updatedAt: instantOf(row.updatedAt.getTime()),
    definitionVersion: row.definitionVersion,
  };
}

export interface PartitionQuery extends PageRequest {
  readonly gameId: string;
  readonly board: string;
  /** `<window>:<name>` */
  readonly cycle: string;
  readonly prefix: string;
}

const LAST_CHARACTER = '\u{10ffff}';
const isAnything: CursorPart = () => true;

/** The partitions of a cycle whose name begins with a text, by name: a range of the primary key. */
export async function listPartitions(
  sql: Sql,
  { gameId, board, cycle, prefix, limit, cursor }: PartitionQuery,
): Promise<Schemas['PartitionPage']> {
  const [after] = readCursor(cursor, [isPartition, isAnything]) ?? [''];
  const rows = await sql.query<{ partition: string }>(
    `SELECT partition FROM board_cycles
      WHERE game_id = $1 AND board = $2 AND cycle = $3 AND partition >= $4 AND partition < $5 AND partition > $6
      ORDER BY partition LIMIT $7`,
    [gameId, board, cycle, prefix, prefix + LAST_CHARACTER, after, limit + 1],
  );
  return pageAnswer(
    pageOf(
      rows,
      limit,
      (row) => [row.partition, ''],
      (row) => row.partition,
    ),
    (item) => item,
  );
}

/** Declares the view of an open cycle void: who keeps the views makes it anew. null when there is no such cycle, or it is final. */
export async function voidCycle(
  sql: Sql,
  { gameId, board, cycle, partition }: CycleName,
): Promise<number | null> {
  const key = [gameId, board, cycle, partition];
  const where = 'game_id = $1 AND board = $2 AND cycle = $3 AND partition = $4 AND final_at IS NULL';
  // An odd epoch says that the view is void already.
  const [row] = await sql.query<{ epoch: number }>(
    `UPDATE board_cycles SET epoch = epoch + 1 - epoch % 2 WHERE ${where} RETURNING epoch`,
    key,
  );
  return row?.epoch ?? null;
}

export interface CycleName {
  readonly gameId: string;
  readonly board: string;
  /** `<window>:<name>` */
  readonly cycle: string;
  readonly partition: string;
}
