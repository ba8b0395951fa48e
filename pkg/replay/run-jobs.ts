import type { ClientAnswer, SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { Logger } from '../runtime/port.js';
import type { ReplayJob, ReplayQueue } from './jobs.postgres.js';
import { readPieces } from './recording.js';
import { replay, type ReplayProgress } from './replay.js';

export interface ReplayRunnerParts {
  readonly queue: ReplayQueue;
  /** Speaks to a gateway with the key of the job. */
  readonly clientOf: (job: ReplayJob) => Promise<SignedClient>;
  readonly clock: Clock;
  readonly random: Pick<Random, 'unit'>;
  readonly log: Logger;
  /** A job whose process was killed is taken up by another after this. */
  readonly leaseMs: number;
}

const LOOK_EVERY_MS = 1_000;
const SAVE_EVERY_MS = 500;
const FORGET_EVERY_MS = 60_000;
/** Games whose replays this process sends at once. */
const JOBS_AT_ONCE = 4;
const REQUESTS_AT_ONCE = 4;

/** Sends replays that are running until `stopping`; resolves when the last of them is given back. */
export async function runReplays(parts: ReplayRunnerParts, stopping: AbortSignal): Promise<void> {
  const { queue, clock, log } = parts;
  const running = new Set<Promise<void>>();
  let forgotAt = -Infinity;
  while (!stopping.aborted) {
    try {
      if (clock.monotonicMs() - forgotAt >= FORGET_EVERY_MS) {
        await queue.forget();
        forgotAt = clock.monotonicMs();
      }
      while (running.size < JOBS_AT_ONCE) {
        const job = await queue.claim(parts.leaseMs);
        if (job === null) break;
        const work = runJob(job, parts, stopping)
          .catch((error: unknown) => log.warn({ err: error, jobId: job.jobId }, 'a replay goes on later'))
          .finally(() => running.delete(work));
        running.add(work);
      }
    } catch (error) {
      log.warn({ err: error }, 'replays could not be looked for');
    }
    await clock.sleep(LOOK_EVERY_MS, stopping);
  }
  await Promise.all(running);
}

/**
 * Sends one job from its mark on. What was sent after the last mark of a process that was killed is sent again, and counts
 * as duplicates. Rejects in an outage: then its lease runs out and somebody goes on.
 */
async function runJob(job: ReplayJob, parts: ReplayRunnerParts, stopping: AbortSignal): Promise<void> {
  const { queue, clock, random, log } = parts;
  const lost = new AbortController();
  const ended = new AbortController();
  const signal = AbortSignal.any([stopping, lost.signal]);
  let latest: ReplayProgress = { line: job.line, tally: job.tally };
  let failure: string | null = null;
  const keeping = keep(job, () => latest, parts, lost, ended.signal);
  const client = await parts.clientOf(job);
  try {
    latest = await replay({
      recording: readPieces(queue.bytes(job), job.rebaseDays),
      client: untilKeyIsKnown(client, clock, signal),
      clock,
      random,
      concurrency: REQUESTS_AT_ONCE,
      rate: job.rate,
      fromLine: job.line,
      tally: job.tally,
      signal,
      onProgress: (progress) => (latest = progress),
    });
  } catch (error) {
    if (!signal.aborted && error instanceof FairtallyError && error.retriable) throw error;
    failure = error instanceof FairtallyError ? error.message : 'a fault of ours; the log says more';
    if (!signal.aborted) log.warn({ err: error, jobId: job.jobId }, 'a replay failed');
  } finally {
    client.close();
    ended.abort();
    await keeping;
  }
  if (signal.aborted) await queue.release(job, latest);
  else await queue.end(job, latest, failure);
}

/** Marks how far a job is, and holds it, until `ended`. `lost`: it was cancelled, or others may have it by now. */
async function keep(
  job: ReplayJob,
  latest: () => ReplayProgress,
  { queue, clock, log, leaseMs }: ReplayRunnerParts,
  lost: AbortController,
  ended: AbortSignal,
): Promise<void> {
  let heldAt = clock.monotonicMs();
  while (!ended.aborted && !lost.signal.aborted) {
    const askedAt = clock.monotonicMs();
    try {
      if (await queue.save(job, latest(), leaseMs)) heldAt = askedAt;
      else lost.abort();
    } catch (error) {
      log.warn({ err: error, jobId: job.jobId }, 'the progress of a replay could not be kept');
      if (clock.monotonicMs() - heldAt >= leaseMs) lost.abort();
    }
    await clock.sleep(SAVE_EVERY_MS, ended);
  }
}

const KEY_ATTEMPTS_MAX = 20;
const KEY_WAIT_MS = 500;

/** The key is as new as the run: gateways learn of keys within a few seconds, each by itself. */
const untilKeyIsKnown = (
  client: SignedClient,
  clock: Clock,
  signal: AbortSignal,
): Pick<SignedClient, 'send'> => ({
  send: async (...request): Promise<ClientAnswer> => {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await client.send(...request);
      if (answer.status !== 401 || attempt >= KEY_ATTEMPTS_MAX || signal.aborted) return answer;
      await clock.sleep(KEY_WAIT_MS, signal);
    }
  },
});
