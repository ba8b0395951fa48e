import { eventsOf, Violation, type Ground } from './ground.js';
import { expectedScores } from './oracle.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

const RANKS_NO_PLAYERS = new Set(['guilds']);

export const scoreKeyOf = (row: Row): string =>
  keyText(row['game_id'], row['board'], row['cycle'], row['partition'], row['subject']);

/** I7, I8, I12: every score is what the entered events give, in exactly the cycles of their own time. */
export function checkScores({ store, damage }: System, ground: Ground): void {
  const left = damage.leftToPeople(ground);
  const isJudged = (key: string): boolean => !damage.isStruckScore(key) || !left.has(ownerOf(key));
  const all = expectedScores(eventsOf(ground, 'leaderboard'));
  const expected = new Map([...all].filter(([key]) => isJudged(key)));
  const rows = store.committed('board_scores').filter((row) => isJudged(scoreKeyOf(row)));
  for (const row of rows) {
    const key = scoreKeyOf(row);
    const score = expected.get(key);
    if (score === undefined) throw new Violation('I12', `a score that no event gives: ${key}`);
    if (score.score !== row['score'])
      throw new Violation('I7', `${key} is ${String(row['score'])}, its events give ${String(score.score)}`);
    if (score.reachedAtMs !== row['reached_at'])
      throw new Violation(
        'I8',
        `${key} was reached at ${String(row['reached_at'])}, not at ${String(score.reachedAtMs)}`,
      );
  }
  if (rows.length !== expected.size) throw new Violation('I7', 'a score is missing');
  const cycles = new Set(store.committed('board_cycles').map(cycleKeyOf));
  for (const row of rows)
    if (!cycles.has(cycleKeyOf(row))) throw new Violation('I7', 'a score without its cycle');
}

/** Whose a score is: a player's, or of boards that rank something else the game's. */
function ownerOf(key: string): string {
  const [gameId, board, , , subject] = key.split('\u0000');
  return RANKS_NO_PLAYERS.has(board ?? '') ? keyText(gameId) : keyText(gameId, subject);
}

export const cycleKeyOf = (row: Row): string =>
  keyText(row['game_id'], row['board'], row['cycle'], row['partition']);

/** I7, I15: after a rest every open cycle has a whole view, and it is the truth row for row. */
export function checkViews({ store, view, world }: System): void {
  if (!world.swarm.hasView) return;
  const scores = scoresByCycle(store.committed('board_scores'));
  for (const cycle of store.committed('board_cycles')) {
    if (cycle['final_at'] !== null) continue;
    const id = cycleKeyOf(cycle);
    const entries = view.whole(keyOf(cycle), cycle['epoch'] as number);
    if (entries === null) throw new Violation('I14', `no whole view of ${id} was made in time`);
    const rows = scores.get(id) ?? [];
    if (entries.size !== rows.length)
      throw new Violation(
        'I7',
        `the view of ${id} has ${String(entries.size)} rows of ${String(rows.length)}`,
      );
    for (const row of rows) {
      const entry = entries.get(row['subject'] as string);
      const state = stateOf(store, row);
      const revision = (row['revision'] as number) + ((state?.['revision'] as number | undefined) ?? 0);
      const isHidden = state?.['hidden'] === true;
      const isRight = isHidden
        ? entry?.place === null
        : entry?.place?.score === row['score'] && entry?.place?.reachedAtMs === row['reached_at'];
      if (entry?.revision !== revision || !isRight)
        throw new Violation(
          'I7',
          `the view of ${id} shows ${JSON.stringify(entry)} for ${JSON.stringify(row)}`,
        );
    }
  }
}

export const keyOf = (row: Row): { gameId: string; board: string; cycle: string; partition: string } => ({
  gameId: row['game_id'] as string,
  board: row['board'] as string,
  cycle: row['cycle'] as string,
  partition: row['partition'] as string,
});

export const stateOf = (store: System['store'], score: Row): Row | null =>
  RANKS_NO_PLAYERS.has(score['board'] as string)
    ? null
    : (store.table('player_state').slots.get(keyText(score['game_id'], score['subject']))?.versions.at(-1)
        ?.row ?? null);

export function scoresByCycle(rows: readonly Row[]): Map<string, Row[]> {
  const byCycle = new Map<string, Row[]>();
  for (const row of rows) {
    const id = cycleKeyOf(row);
    const list = byCycle.get(id);
    if (list === undefined) byCycle.set(id, [row]);
    else list.push(row);
  }
  return byCycle;
}
