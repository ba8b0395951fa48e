import { boardId, type ScoreKey } from './fold.js';
import type { BoardKey } from './port.js';

export interface SlicedCycle {
  /** The text of the key. */
  readonly id: string;
  readonly key: BoardKey;
}

/** Score keys as a statement takes them: every cycle once, beside the stretch of the subjects that is its own. */
export interface Slices {
  readonly cycles: readonly SlicedCycle[];
  /** Seven arrays: game, board, cycle, partition, first and last place in the subjects from 1; and the subjects. */
  readonly values: readonly (readonly (string | number)[])[];
}

/** Cycles come in one order, whatever the order of the keys. No key may come twice. */
export function sliceByCycle(keys: Iterable<ScoreKey>): Slices {
  const groups = new Map<string, SlicedCycle & { readonly subjects: string[] }>();
  for (const key of keys) {
    const id = boardId(key);
    let group = groups.get(id);
    if (group === undefined) groups.set(id, (group = { id, key: boardKeyOf(key), subjects: [] }));
    group.subjects.push(key.subject);
  }
  const cycles = [...groups.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const [firsts, lasts, subjects]: [number[], number[], string[]] = [[], [], []];
  for (const group of cycles) {
    firsts.push(subjects.length + 1);
    for (const subject of group.subjects) subjects.push(subject);
    lasts.push(subjects.length);
  }
  return { cycles, values: [...keyColumns(cycles.map(({ key }) => key)), firsts, lasts, subjects] };
}

const boardKeyOf = ({ subject: _, ...key }: ScoreKey): BoardKey => key;

export const keyColumns = (keys: readonly BoardKey[]): string[][] => [
  keys.map((key) => key.gameId),
  keys.map((key) => key.board),
  keys.map((key) => key.cycle),
  keys.map((key) => key.partition),
];

/** Slices ($1 to $7) as rows `k`, of which k.n is the place of the cycle from 1. */
export const SLICES = `
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::int[])
  WITH ORDINALITY AS k (game_id, board, cycle, partition, first, last, n)`;

/** Which rows `l` of board_scores are in the slice `k`: in a lateral subquery, one search of the primary key per cycle. */
export const IN_SLICE = `
l.game_id = k.game_id AND l.board = k.board AND l.cycle = k.cycle AND l.partition = k.partition
AND l.subject = ANY(($7::text[])[k.first:k.last])`;
