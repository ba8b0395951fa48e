import type { Random } from '../kernel/random.js';

export interface BackoffRule {
  /** The first pause at most. */
  readonly baseMs: number;
  /** No pause is longer. */
  readonly capMs: number;
}

const MAX_DOUBLINGS = 30;

/** Pause before try `tries` + 1 (tries from 1): doubles up to the cap; the upper half is random, so that workers spread. */
export function backoffMs(rule: BackoffRule, tries: number, random: Random): number {
  const ceiling = Math.min(rule.capMs, rule.baseMs * 2 ** Math.min(tries - 1, MAX_DOUBLINGS));
  return ceiling * (0.5 + random.unit() / 2);
}
