import type { AdmittedEvent } from '../../contract/event.js';
import { messageIdOf } from '../../contract/identity.js';
import { GRACE_MS, LAUNCH_ENDS_MS, ROLLOVER_MS } from './game.js';
import { eventsOf, Violation, type Ground } from './ground.js';
import { expectedScores, type ExpectedScore } from './oracle.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

const cycleKeyOf = (row: Row): string =>
  keyText(row['game_id'], row['board'], row['cycle'], row['partition']);

/** When a cycle that turns in a run ends, by the definition in force at that time; null: none that turns. */
const endOf = (cycle: string): number | null =>
  cycle === 'seasonal:launch' ? LAUNCH_ENDS_MS : cycle === 'daily:2026-11-20' ? ROLLOVER_MS : null;

/**
 * Final rankings: never made before the end of the grace, never without an event that was on the bus by then, and what
 * counted later is told as revised.
 */
export function checkClosing({ store, broker, world, damage }: System, ground: Ground): void {
  const finals = new Map<string, Row>();
  for (const cycle of store.committed('board_cycles')) {
    const endsAtMs = endOf(cycle['cycle'] as string);
    if (cycle['final_at'] === null) {
      if (endsAtMs !== null) throw new Violation('I14', `${cycleKeyOf(cycle)} was never closed`);
      continue;
    }
    world.coverage.saw('cycle closed');
    finals.set(cycleKeyOf(cycle), cycle);
    if (endsAtMs !== null && (cycle['final_at'] as number) < endsAtMs + GRACE_MS)
      throw new Violation('closing', `${cycleKeyOf(cycle)} was closed before its grace was over`);
  }
  const all = eventsOf(ground, 'leaderboard');
  const inTime = (event: AdmittedEvent, cycle: string): boolean => {
    const endsAtMs = endOf(cycle);
    const arrivedAtMs = broker.arrivedAt.get(messageIdOf(event.identity, event.contentHash, 0));
    return endsAtMs !== null && arrivedAtMs !== undefined && arrivedAtMs < endsAtMs + GRACE_MS;
  };
  const snapshot = new Map(store.committed('leaderboard_snapshots').map((row) => [rowKeyOf(row), row]));
  // What was another score when its cycle closed stands so in the final ranking, and is told as revised like any other.
  checkContents(finals, snapshot, all, inTime, (key) => damage.isStruckScore(key));
  checkRevised(finals, snapshot, store.committed('board_scores'));
}

const rowKeyOf = (row: Row): string => keyText(cycleKeyOf(row), row['subject']);

function checkContents(
  finals: ReadonlyMap<string, Row>,
  snapshot: ReadonlyMap<string, Row>,
  all: readonly AdmittedEvent[],
  inTime: (event: AdmittedEvent, cycle: string) => boolean,
  wasAnother: (key: string) => boolean,
): void {
  for (const cycle of new Set([...finals.values()].map((row) => row['cycle'] as string))) {
    const due = expectedScores(all.filter((event) => inTime(event, cycle)));
    const most = expectedScores(all);
    for (const [key, score] of due) {
      const [gameId, board, ofCycle, partition] = key.split('\u0000');
      if (ofCycle !== cycle || wasAnother(key) || !finals.has(keyText(gameId, board, ofCycle, partition)))
        continue;
      const row = snapshot.get(key);
      if (row === undefined) throw new Violation('closing', `the final ranking lacks ${key}`);
      if (!isBetween(board ?? '', row['score'] as number, score, most.get(key)))
        throw new Violation(
          'closing',
          `the final ranking has ${String(row['score'])} for ${key}, due are ${String(score.score)}`,
        );
    }
  }
}

/** Between what was due by then and what counted at all: `min` falls, all others rise, `latest` goes anywhere. */
function isBetween(
  board: string,
  score: number,
  due: ExpectedScore,
  most: ExpectedScore | undefined,
): boolean {
  if (most === undefined) return false;
  if (board === 'latest') return due.score !== most.score || score === due.score;
  const [low, high] = board === 'boss-time' ? [most.score, due.score] : [due.score, most.score];
  return low <= score && score <= high;
}

function checkRevised(
  finals: ReadonlyMap<string, Row>,
  snapshot: ReadonlyMap<string, Row>,
  scores: readonly Row[],
): void {
  for (const row of scores) {
    const cycle = finals.get(cycleKeyOf(row));
    if (cycle === undefined || cycle['revised'] === true) continue;
    const final = snapshot.get(rowKeyOf(row));
    if (final?.['score'] !== row['score'] || final?.['reached_at'] !== row['reached_at'])
      throw new Violation('closing', `${rowKeyOf(row)} counted after its cycle was final, and nothing tells`);
  }
}
