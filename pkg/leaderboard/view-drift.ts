import type { StoredRow } from './view-audit.js';

/** What one look found of one subject of one cycle: the truth was read first, then the view. */
export interface Sight {
  /** null: no such row. `place` is null for a hidden player. */
  readonly truth: StoredRow | null;
  /** null: the view has no row. */
  readonly held: StoredRow | null;
  /** How the ranking shows the subject, as far as it was drawn: each must be the place of the row. */
  readonly ranked: readonly NonNullable<StoredRow['place']>[];
}

/**
 * `row`: the view is behind, and takes the row from a refresh. `view`: it holds what no truth made, or what no refresh can
 * set right: only a view that is built anew is trusted.
 */
export type Drift = 'row' | 'view';

const isSamePlace = (a: StoredRow['place'], b: StoredRow['place']): boolean =>
  a === null || b === null ? a === b : a.score === b.score && a.reachedAtMs === b.reachedAtMs;

/** A member whose row is lost may still be where the truth puts it. */
const isShownAs = ({ truth, held, ranked }: Sight): boolean =>
  ranked.every((place) => isSamePlace(place, (held ?? truth)?.place ?? null));

/** Whether the view shows the truth. */
export const isTrue = (sight: Sight): boolean => {
  const { truth, held } = sight;
  if (!isShownAs(sight)) return false;
  if (truth === null || held === null) return truth === held;
  return truth.revision === held.revision && isSamePlace(truth.place, held.place);
};

/**
 * What is wrong with a subject in two looks that lie further apart than a refresh takes; null when nothing is, or when it
 * may only be in motion. Revisions tell: of one revision there is one content, a view that has not reached the revision of
 * the first look was not told, and one that is ahead of a later look at the truth was told by nobody.
 */
export function driftOf(first: Sight, last: Sight): Drift | null {
  if (isTrue(first) || isTrue(last)) return null;
  const { truth, held } = last;
  if (!isShownAs(first) && !isShownAs(last)) return 'view';
  if (truth === null) return first.truth === null && held !== null && first.held !== null ? 'view' : null;
  if (held === null) return first.truth !== null ? 'row' : null;
  if (held.revision === truth.revision) return isSamePlace(held.place, truth.place) ? null : 'view';
  if (held.revision < truth.revision)
    return first.truth !== null && held.revision < first.truth.revision ? 'row' : null;
  return first.held !== null && truth.revision < first.held.revision ? 'view' : null;
}
