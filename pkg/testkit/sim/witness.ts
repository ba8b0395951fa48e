import { cycleKeyOf, keyOf, scoreKeyOf, scoresByCycle, stateOf } from './check-boards.js';
import { Violation } from './ground.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

const RECEIPT_KEY = ['game_id', 'player_id', 'grant_key'] as const;

/** What must hold at every moment, looked at now and then while a run goes on. */
export class Witness {
  private readonly receipts = new Map<string, unknown>();
  private readonly finals = new Map<string, unknown>();
  /** By score: when it was first seen. */
  private readonly seenAtMs = new Map<string, number>();

  constructor(private readonly system: System) {}

  /** Somebody removed a receipt: what stands in its place may name another event. */
  forgetReceipt(row: Row): void {
    this.receipts.delete(keyText(...RECEIPT_KEY.map((name) => row[name])));
  }

  /** @throws Violation */
  look(): void {
    const { store } = this.system;
    unchanged('I6', this.receipts, store.committed('receipts'), RECEIPT_KEY, 'jws');
    unchanged(
      'closing',
      this.finals,
      store.committed('leaderboard_snapshots'),
      ['game_id', 'board', 'cycle', 'partition', 'subject'],
      'score',
    );
    if (store.strayGame !== null)
      throw new Violation('I11', `events of one game changed a row of another: ${store.strayGame}`);
    this.lookAtMemory();
    this.lookAtViews();
  }

  /**
   * I13 of what all requests share: idempotency keys and buckets of limits stay under their bounds. What a process holds for itself
   * (a gateway's recent events, builds that wait, months that are known) no world looks at.
   */
  private lookAtMemory(): void {
    const { keys, limiters, world } = this.system;
    const { keysMax, bucketsMax } = world.swarm;
    if (keys.size > keysMax) throw new Violation('I13', `${String(keys.size)} idempotency keys are held`);
    for (const { size } of limiters)
      if (size > bucketsMax) throw new Violation('I13', `${String(size)} buckets of limits are held`);
  }

  /**
   * I7: a view that readers may use shows nothing that the truth did not say: behind it perhaps, never above. What was
   * there before its build began it shows. What somebody broke is shown as it may.
   */
  private lookAtViews(): void {
    const { store, view, world, damage } = this.system;
    const scores = store.table('board_scores').slots;
    const rows = scoresByCycle(store.committed('board_scores'));
    for (const cycle of store.committed('board_cycles')) {
      const key = keyOf(cycle);
      const entries = view.whole(key, cycle['epoch'] as number);
      if (entries === null) continue;
      for (const row of rows.get(cycleKeyOf(cycle)) ?? []) {
        const seenAtMs = this.seenAtMs.get(scoreKeyOf(row)) ?? world.nowMs;
        if (damage.isStruckScore(scoreKeyOf(row))) continue;
        if (seenAtMs < view.begunAtMs(key) && !entries.has(row['subject'] as string))
          throw new Violation(
            'I7',
            `a whole view lacks what was there before it was built: ${scoreKeyOf(row)}`,
          );
      }
      for (const [subject, entry] of entries) {
        const id = keyText(key.gameId, key.board, key.cycle, key.partition, subject);
        if (damage.isStruckScore(id)) continue;
        const row = scores.get(id)?.versions.at(-1)?.row;
        if (row === undefined || row === null)
          throw new Violation('I7', `the view shows a score that is not there: ${id}`);
        const revision =
          (row['revision'] as number) + ((stateOf(store, row)?.['revision'] as number | undefined) ?? 0);
        if (entry.revision > revision) throw new Violation('I7', `the view is ahead of the truth: ${id}`);
        if (entry.place === null || entry.revision < revision) continue;
        if (entry.place.score !== row['score'] || entry.place.reachedAtMs !== row['reached_at'])
          throw new Violation('I7', `the view shows another score under one revision: ${id}`);
      }
    }
    for (const row of [...rows.values()].flat()) {
      const id = scoreKeyOf(row);
      if (!this.seenAtMs.has(id)) this.seenAtMs.set(id, world.nowMs);
    }
  }
}

/** What was once there stays there as it was. */
function unchanged(
  invariant: string,
  seen: Map<string, unknown>,
  rows: readonly Row[],
  keyNames: readonly string[],
  valueName: string,
): void {
  const now = new Map(rows.map((row) => [keyText(...keyNames.map((name) => row[name])), row[valueName]]));
  for (const [key, value] of seen) {
    if (now.get(key) !== value) throw new Violation(invariant, `what was told of ${key} has changed`);
  }
  for (const [key, value] of now) seen.set(key, value);
}
