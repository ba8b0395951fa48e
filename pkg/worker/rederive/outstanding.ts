import type { Clock } from '../../kernel/clock.js';
import { LANE_COUNT } from '../../kernel/lanes.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import {
  follow,
  followedThrough,
  forgetArchived,
  holdFollower,
  keptStrangersOf,
  settledHorizon,
} from './followed.postgres.js';
import type { Outstanding } from './port.js';
import { strangersOf } from './postgres.js';

/** An archive that is further behind is waited for. */
export const STRANGERS_MAX = 10_000;
/** What was settled in so long is read at once. Night and day differ by much: a slice that was fast is followed by a longer one. */
const SLICE = { firstMs: 60_000, leastMs: 1_000, mostMs: 3_600_000 };
const SLICE_FAST_MS = 250;
/** What was settled since is read each time it is asked for: nobody waits for more than this to be read. */
const NEAR_MS = 10 * 60_000;

export interface FollowParts {
  readonly db: Database;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

export interface Followed {
  /** Little is left that was not held against the archive. */
  readonly isNear: boolean;
  readonly throughMs: number;
  /** What is not seen by now will have been settled after this. */
  readonly horizonMs: number;
}

/**
 * Holds what a role settled since the last time against the archive, for `budgetMs` at most: each of its inbox rows is read for
 * this once. Of all processes one does it at a time; the others go by what it has reached.
 *
 * @throws OutageError
 */
export async function followRole(
  { db, clock }: FollowParts,
  role: RoleName,
  budgetMs: number,
): Promise<Followed> {
  const horizonMs = await settledHorizon(db);
  const beganMs = clock.monotonicMs();
  let sliceMs = SLICE.firstMs;
  for (;;) {
    const sliceBeganMs = clock.monotonicMs();
    const step = await followSlice(db, role, sliceMs, horizonMs);
    const leftMs = horizonMs - step.throughMs;
    if (leftMs <= 0 || step.isStuck || clock.monotonicMs() - beganMs >= budgetMs)
      return { isNear: leftMs <= NEAR_MS, throughMs: step.throughMs, horizonMs };
    const isFast = clock.monotonicMs() - sliceBeganMs < SLICE_FAST_MS;
    sliceMs =
      step.isFull || !isFast ? Math.max(SLICE.leastMs, sliceMs / 2) : Math.min(SLICE.mostMs, sliceMs * 2);
  }
}

interface Slice {
  readonly throughMs: number;
  /** The archive lacks too much of it. */
  readonly isFull: boolean;
  /** Nothing comes of going on: somebody else is at it, or the archive is too far behind. */
  readonly isStuck: boolean;
}

/** One slice, in one transaction with the place that was reached. */
const followSlice = (db: Database, role: RoleName, sliceMs: number, horizonMs: number): Promise<Slice> =>
  db.transaction(async (sql) => {
    const isHeld = await holdFollower(sql, role);
    const throughMs = await followedThrough(sql, role);
    if (!isHeld || throughMs >= horizonMs) return { throughMs, isFull: false, isStuck: !isHeld };
    const room = Math.max(0, STRANGERS_MAX - (await forgetArchived(sql, role)));
    const toMs = Math.min(throughMs + sliceMs, horizonMs);
    if ((await follow(sql, role, { fromMs: throughMs, toMs }, room)) <= room)
      return { throughMs: toMs, isFull: false, isStuck: false };
    return { throughMs, isFull: true, isStuck: sliceMs <= SLICE.leastMs };
  });

/**
 * What a role had counted of a game and the archive had not: what was kept of the time up to which the role was followed, and
 * what was settled since. Once for many players, not for each. null when the archive, or the following, is too far behind.
 */
export async function readOutstanding(
  { db }: Pick<FollowParts, 'db'>,
  role: RoleName,
  gameId: string,
  { isNear, throughMs, horizonMs }: Followed,
): Promise<Outstanding | null> {
  if (!isNear) return null;
  const lanes = Array.from({ length: LANE_COUNT }, (_, lane) => lane);
  // In this order: another process may move on meanwhile, and what it takes over is kept by then.
  const lately = await strangersOf(db, role, gameId, lanes, throughMs, STRANGERS_MAX);
  const kept = await keptStrangersOf(db, role, gameId, STRANGERS_MAX);
  if (lately.length + kept.length >= STRANGERS_MAX) return null;
  return { role, gameId, unseenSinceMs: horizonMs, strangers: [...kept, ...lately] };
}
