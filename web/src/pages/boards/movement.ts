import { useReducedMotion } from '@mantine/hooks';
import { useLayoutEffect, useRef, useState, type RefObject } from 'react';
import type { Schema } from '../../api/schema.ts';

type Entry = Schema<'BoardEntry'>;

/** How an entry moved since the answer before: places won (above 0) or lost, or that it is new. */
export interface Movement {
  readonly places: number;
  readonly isNew: boolean;
  readonly scored: boolean;
}

const SEEN_MS = 6_000;
const SLIDE_MS = 350;

/** What changed between two answers of the same board, by subject; who did not move is absent. */
export function movementsOf(
  before: readonly Entry[],
  after: readonly Entry[],
): ReadonlyMap<string, Movement> {
  const known = new Map(before.map((entry) => [entry.subject, entry]));
  const lastKnown = before.at(-1)?.rank ?? 0;
  const moved = new Map<string, Movement>();
  for (const entry of after) {
    const earlier = known.get(entry.subject);
    // Who stands below what was seen before came with another page, not by playing.
    if (earlier === undefined && entry.rank > lastKnown) continue;
    const places = earlier === undefined ? 0 : earlier.rank - entry.rank;
    const scored = earlier === undefined || earlier.score !== entry.score;
    if (places !== 0 || scored) moved.set(entry.subject, { places, isNew: earlier === undefined, scored });
  }
  return moved;
}

/**
 * The movements since the answer before, for some seconds.
 *
 * @param key the board that is looked at: another one has no answer before
 */
export function useMovements(key: string, entries: readonly Entry[]): ReadonlyMap<string, Movement> {
  const [last, setLast] = useState({ key, entries });
  const [moved, setMoved] = useState<ReadonlyMap<string, Movement>>(NONE);
  if (last.key !== key || last.entries !== entries) {
    setLast({ key, entries });
    const changes = last.key === key ? movementsOf(last.entries, entries) : NONE;
    if (changes.size > 0 || last.key !== key) setMoved(changes);
  }
  useLayoutEffect(() => {
    if (moved.size === 0) return undefined;
    const timer = window.setTimeout(() => setMoved(NONE), SEEN_MS);
    return () => window.clearTimeout(timer);
  }, [moved]);
  return moved;
}

const NONE: ReadonlyMap<string, Movement> = new Map();

/** Rows that change places slide there, unless the viewer asked for less motion. Rows carry `data-subject`. */
export function useSlide(body: RefObject<HTMLTableSectionElement | null>, entries: readonly Entry[]): void {
  const isStill = useReducedMotion();
  const places = useRef<ReadonlyMap<string, number>>(new Map());
  useLayoutEffect(() => {
    const now = new Map<string, number>();
    for (const row of body.current?.querySelectorAll<HTMLElement>('tr[data-subject]') ?? []) {
      const subject = row.dataset['subject'] ?? '';
      now.set(subject, row.offsetTop);
      const before = places.current.get(subject);
      if (isStill || before === undefined || before === row.offsetTop) continue;
      const from = `translateY(${before - row.offsetTop}px)`;
      row.animate([{ transform: from }, { transform: 'none' }], { duration: SLIDE_MS, easing: 'ease-out' });
    }
    places.current = now;
  }, [body, entries, isStill]);
}
