import type { SignedClient, ClientAnswer } from '../client/signed-client.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Clock } from '../kernel/clock.js';
import { laneOf } from '../kernel/lanes.js';
import type { Random } from '../kernel/random.js';
import { EMPTY_TALLY, type Checkpoint, type Tally } from './checkpoint.js';
import { readRecording, type RecordedLine } from './recording.js';

export interface ReplayOptions {
  readonly files: readonly string[];
  readonly client: SignedClient;
  readonly clock: Clock;
  readonly random: Random;
  /** Batches under way at once; one player's events never stand in two of them. */
  readonly concurrency: number;
  /** Events per second at most; null: as fast as the gateway takes them. */
  readonly rate: number | null;
  readonly rebaseDays: number;
  /** Lines up to this one are skipped. */
  readonly fromLine: number;
  readonly tally?: Tally;
  readonly signal?: AbortSignal;
  /** Called after each batch with what is answered for good. */
  readonly onProgress?: (progress: { readonly line: number; readonly tally: Tally }) => void;
}

const BATCH_EVENTS_MAX = 100;
const BATCH_BYTES_MAX = 512 * 1024;
const ATTEMPTS_MAX = 60;
const BACKOFF_MAX_MS = 10_000;

interface MutableTally {
  accepted: number;
  duplicates: number;
  rejected: Record<string, number>;
}

type GoodLine = Extract<RecordedLine, { ok: true }>;

/**
 * Feeds a recording through the gateway's own door. Lines go in rounds: each round is split over `concurrency` batches by
 * player, and the next begins when all are answered, so one player's events stay in order and `line` is a clean mark.
 *
 * @throws FairtallyError `replay_refused` for an answer that no retry can mend (a wrong key, say), OutageError when the
 *   gateway stays away
 */
export async function replay(options: ReplayOptions): Promise<{ line: number; tally: Tally }> {
  const start = options.tally ?? EMPTY_TALLY;
  const tally: MutableTally = { ...start, rejected: { ...start.rejected } };
  const beganAt = options.clock.monotonicMs();
  let sent = 0;
  let line = options.fromLine;

  for await (const round of rounds(options)) {
    if (options.signal?.aborted === true) break;
    const lanes: GoodLine[][] = Array.from({ length: options.concurrency }, () => []);
    for (const recorded of round) {
      if (recorded.ok) lanes[laneOf('', recorded.playerId, options.concurrency)]?.push(recorded);
      else count(tally, recorded.reason);
    }
    await Promise.all(lanes.filter((lane) => lane.length > 0).map((lane) => sendLane(lane, options, tally)));
    sent += round.length;
    line = round.at(-1)?.line ?? line;
    options.onProgress?.({ line, tally });
    if (options.rate !== null) {
      const dueMs = beganAt + (sent / options.rate) * 1000;
      await options.clock.sleep(Math.max(0, dueMs - options.clock.monotonicMs()), options.signal);
    }
  }
  return { line, tally };
}

async function* rounds(options: ReplayOptions): AsyncGenerator<RecordedLine[]> {
  const size = Math.min(
    BATCH_EVENTS_MAX * options.concurrency,
    Math.max(1, Math.ceil(options.rate ?? Infinity)),
  );
  let round: RecordedLine[] = [];
  for await (const recorded of readRecording(options.files, options.rebaseDays)) {
    if (recorded.line <= options.fromLine) continue;
    round.push(recorded);
    if (round.length >= size) {
      yield round;
      round = [];
    }
  }
  if (round.length > 0) yield round;
}

async function sendLane(
  lane: readonly GoodLine[],
  options: ReplayOptions,
  tally: MutableTally,
): Promise<void> {
  for (const batch of split(lane)) await sendBatch(batch, options, tally);
}

function* split(lane: readonly GoodLine[]): Generator<GoodLine[]> {
  let batch: GoodLine[] = [];
  let bytes = 0;
  for (const recorded of lane) {
    const size = Buffer.byteLength(recorded.body) + 1;
    if (batch.length >= BATCH_EVENTS_MAX || (batch.length > 0 && bytes + size > BATCH_BYTES_MAX)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(recorded);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

interface AnswerItem {
  readonly status: 'accepted' | 'duplicate' | 'rejected';
  readonly code?: string;
  readonly retryable?: boolean;
}

async function sendBatch(
  batch: readonly GoodLine[],
  options: ReplayOptions,
  tally: MutableTally,
): Promise<void> {
  const body = batch.map((recorded) => recorded.body).join('\n');
  for (let attempt = 1; ; attempt += 1) {
    const answer = await exchange(body, options);
    if (answer !== null && answer.status === 202) return record(answer, batch.length, tally);
    // The whole body was refused, for the sake of one line perhaps: each line gets an answer of its own.
    if (answer !== null && answer.status === 400 && batch.length > 1) {
      for (const recorded of batch) await sendBatch([recorded], options, tally);
      return;
    }
    if (answer !== null && answer.status === 400) return count(tally, problemOf(answer).code);
    if (answer !== null && !isRetryable(answer)) {
      const { code, detail } = problemOf(answer);
      throw new FairtallyError(
        'replay_refused',
        `the gateway refuses the recording: ${String(answer.status)} ${code}${detail === '' ? '' : ` (${detail})`}`,
      );
    }
    if (attempt >= ATTEMPTS_MAX) throw new OutageError('the gateway');
    if (options.signal?.aborted === true)
      throw new FairtallyError('replay_stopped', 'the replay was stopped; run it again with --resume', true);
    await options.clock.sleep(waitMs(answer, attempt, options.random), options.signal);
  }
}

async function exchange(body: string, options: ReplayOptions): Promise<ClientAnswer | null> {
  try {
    return await options.client.send('POST', '/v1/events/batch', {
      body,
      contentType: 'application/x-ndjson',
    });
  } catch (error) {
    if (error instanceof OutageError) return null; // no answer: the same batch again, with the same ids
    throw error;
  }
}

const isRetryable = (answer: ClientAnswer): boolean =>
  answer.status === 429 || answer.status === 408 || answer.status >= 500;

/** Exponential with full jitter, but never earlier than the gateway asks. */
function waitMs(answer: ClientAnswer | null, attempt: number, random: Random): number {
  const asked = Number(answer?.headers['retry-after'] ?? 0) * 1000;
  const backoff = Math.min(BACKOFF_MAX_MS, 100 * 2 ** Math.min(attempt, 10)) * random.unit();
  return (Number.isFinite(asked) ? asked : 0) + backoff;
}

function record(answer: ClientAnswer, expected: number, tally: MutableTally): void {
  const { results } = JSON.parse(answer.text) as { results: AnswerItem[] };
  if (results.length !== expected)
    throw new FairtallyError(
      'replay_refused',
      'the gateway answered another number of results than events were sent',
    );
  for (const item of results) {
    if (item.status === 'accepted') tally.accepted += 1;
    else if (item.status === 'duplicate') tally.duplicates += 1;
    else count(tally, item.code ?? 'rejected');
  }
}

const count = (tally: MutableTally, reason: string): void => {
  tally.rejected[reason] = (tally.rejected[reason] ?? 0) + 1;
};

function problemOf(answer: ClientAnswer): { code: string; detail: string } {
  try {
    const problem = JSON.parse(answer.text) as { code?: unknown; detail?: unknown };
    return {
      code: String(problem.code ?? 'unknown'),
      detail: typeof problem.detail === 'string' ? problem.detail : '',
    };
  } catch {
    return { code: 'unknown', detail: '' }; // a proxy in between answers in its own words
  }
}

export type { Checkpoint };
