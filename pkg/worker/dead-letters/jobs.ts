import type { Clock } from '../../kernel/clock.js';
import type { Database } from '../../postgres/port.js';
import { progressOf, redriveLetters, type ActionProgress } from '../resubmissions/postgres.js';
import { dropLetters } from './decisions.postgres.js';
import type { Decision, LetterFilter } from './port.js';
import { letterIds, newestLetterId, recordAction } from './queries.postgres.js';

const CHUNK_MAX = 500;
/** Resubmissions of one job that may wait for the workers. */
const BACKLOG_MAX = 2_000;
const LOOK_EVERY_MS = 100;
/** When the workers have closed nothing for so long, whoever waits for them is told. */
const STALLED_MS = 30_000;

export interface JobDeps {
  readonly db: Database;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicMs'>;
}

export interface RedriveJob {
  /** Only what is open among it is sent. */
  readonly filter: LetterFilter;
  readonly decision: Decision;
  /** Letters per second at most. */
  readonly rate: number;
  readonly onProgress?: (progress: RedriveProgress) => void;
  readonly stalledMs?: number;
}

export interface RedriveProgress extends ActionProgress {
  /** Letters looked at. */
  readonly looked: number;
  /** Of them, how many went on their way; the others had been decided about. */
  readonly sent: number;
}

export interface RedriveResult extends RedriveProgress {
  readonly actionId: number;
  /** The workers closed nothing for a while: what is pending goes on by itself when they run. */
  readonly isStalled: boolean;
}

/**
 * Sends open letters to their roles again, oldest first, at a rate, and waits until the workers have closed all of them.
 * A letter that comes back is not sent twice by one job. Interrupted, what is sent goes on; running it again sends the rest.
 */
export async function redriveJob(job: RedriveJob, { db, clock }: JobDeps): Promise<RedriveResult> {
  const { rate, onProgress = () => undefined } = job;
  const actionId = await recordAction(db, 'redrive', job.decision, job.filter);
  const watch = new Watch(job.stalledMs ?? STALLED_MS, clock);
  const beganMs = clock.monotonicMs();
  let looked = 0;
  let sent = 0;
  const look = async (): Promise<RedriveProgress> => {
    const progress = { ...(await progressOf(db, actionId)), looked, sent };
    watch.see(progress);
    onProgress(progress);
    return progress;
  };
  const chunk = Math.max(1, Math.min(CHUNK_MAX, Math.floor(rate / 4)));
  let progress = await look();
  for await (const ids of chunksOf({ ...job.filter, state: 'open' }, chunk, db)) {
    const isEarly = (): boolean => looked / rate > (clock.monotonicMs() - beganMs) / 1000;
    while (!watch.isStalled && (isEarly() || progress.pending >= BACKLOG_MAX)) {
      await clock.sleep(LOOK_EVERY_MS);
      progress = await look();
    }
    if (watch.isStalled) break;
    sent += await redriveLetters(db, ids, actionId);
    looked += ids.length;
    progress = await look();
  }
  while (progress.pending > 0 && !watch.isStalled) {
    await clock.sleep(LOOK_EVERY_MS);
    progress = await look();
  }
  return { ...progress, actionId, isStalled: watch.isStalled };
}

/** Sees whether anything is closed. */
class Watch {
  isStalled = false;
  private closed = -1;
  private movedAtMs = 0;

  constructor(
    private readonly stalledMs: number,
    private readonly clock: Pick<Clock, 'monotonicMs'>,
  ) {}

  see({ done, skipped, failed, pending }: ActionProgress): void {
    const nowMs = this.clock.monotonicMs();
    const closed = done + skipped + failed;
    if (closed !== this.closed || pending === 0) {
      this.closed = closed;
      this.movedAtMs = nowMs;
    }
    this.isStalled = nowMs - this.movedAtMs > this.stalledMs;
  }
}

export interface DropJob {
  readonly filter: LetterFilter;
  readonly decision: Decision;
  readonly onProgress?: (progress: DropResult) => void;
}

export interface DropResult {
  readonly looked: number;
  readonly dropped: number;
  /** Their events had taken effect. */
  readonly applied: number;
  /** Letters of the archive whose events other roles have counted: they stay open. */
  readonly kept: number;
}

/**
 * Drops letters, chunk after chunk: those that are open, and of those that are named by their ids also what is on its way
 * again. Interrupted, it can be run again.
 */
export async function dropJob(job: DropJob, { db }: Pick<JobDeps, 'db'>): Promise<DropResult> {
  const actionId = await recordAction(db, 'drop', job.decision, job.filter);
  const isOnItsWayToo = job.filter.ids !== undefined;
  const filter: LetterFilter = isOnItsWayToo ? job.filter : { ...job.filter, state: 'open' };
  let result: DropResult = { looked: 0, dropped: 0, applied: 0, kept: 0 };
  for await (const ids of chunksOf(filter, CHUNK_MAX, db)) {
    const { decision } = job;
    const { dropped, applied, kept } = await dropLetters(db, { ids, isOnItsWayToo, actionId, decision });
    result = {
      looked: result.looked + ids.length,
      dropped: result.dropped + dropped,
      applied: result.applied + applied,
      kept: result.kept + kept,
    };
    job.onProgress?.(result);
  }
  return result;
}

/** The letters that fit and stand by now, in chunks. */
async function* chunksOf(filter: LetterFilter, limit: number, db: Database): AsyncGenerator<number[]> {
  const upToId = await newestLetterId(db);
  for (let afterId = 0; ;) {
    const ids = await letterIds(db, filter, { afterId, upToId, limit });
    const last = ids.at(-1);
    if (last === undefined) return;
    yield ids;
    afterId = last;
  }
}
