import type { ClientAnswer, SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { laneOf } from '../kernel/lanes.js';
import type { Random } from '../kernel/random.js';
import { addTallies, EMPTY_TALLY, type Tally } from './checkpoint.js';
import type { RecordedLine } from './recording.js';

export interface ReplayOptions {
  /** As readRecording gives it: the lines in order, moved in time already. */
  readonly recording: AsyncIterable<RecordedLine>;
  readonly client: Pick<SignedClient, 'send'>;
  readonly clock: Clock;
  readonly random: Pick<Random, 'unit'>;
  /** Batches under way at once; one player's events never stand in two of them. */
  readonly concurrency: number;
  /** Events per second at most; null: as fast as the gateway takes them. */
  readonly rate: number | null;
  /** Lines up to this one are skipped. */
  readonly fromLine: number;
  /** What was counted before `fromLine`. */
  readonly tally?: Tally;
  /** Stops after the round under way, or at its first retry: then what that round has counted comes again as duplicates. */
  readonly signal?: AbortSignal;
  /** Called after each round with what is answered for good. */
  readonly onProgress?: (progress: ReplayProgress) => void;
}

export interface ReplayProgress {
  /** Every line up to this one is answered for good. */
  readonly line: number;
  readonly tally: Tally;
}

const BATCH_EVENTS_MAX = 100;
const BATCH_BYTES_MAX = 512 * 1024;
const ATTEMPTS_MAX = 60;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 10_000;
/** However long a gateway asks for, it is asked again after this. */
const ASKED_WAIT_MAX_MS = 60_000;

interface MutableTally {
  accepted: number;
  duplicates: number;
  rejected: Record<string, number>;
}

type GoodLine = Extract<RecordedLine, { ok: true }>;

/** The signal was given while a round waited for a retry. */
class Stopped extends Error {}

/**
 * Feeds a recording through the gateway's own door. Lines go in rounds: each round is split over `concurrency` lanes by
 * player, and the next begins when all are answered, so one player's events stay in order and `line` is a clean mark.
 * Resolves at the end or, early, when the signal was given.
 *
 * @throws FairtallyError `replay_refused` for an answer that no retry can mend (a wrong key, say), OutageError when the
 *   gateway stays away
 */
export async function replay(options: ReplayOptions): Promise<ReplayProgress> {
  const { clock, rate, signal } = options;
  let progress: ReplayProgress = { line: options.fromLine, tally: options.tally ?? EMPTY_TALLY };
  const beganAt = clock.monotonicMs();
  let sent = 0;
  try {
    for await (const round of rounds(options)) {
      if (signal?.aborted === true) break;
      const tally = addTallies(progress.tally, await sendRound(round, options));
      progress = { line: round.at(-1)?.line ?? progress.line, tally };
      options.onProgress?.(progress);
      sent += round.length;
      if (rate !== null)
        await clock.sleep(Math.max(0, beganAt + (sent / rate) * 1000 - clock.monotonicMs()), signal);
    }
  } catch (error) {
    if (!(error instanceof Stopped)) throw error;
  }
  return progress;
}

/** A round holds what all lanes take at once, and never more than a second's worth. */
async function* rounds(options: ReplayOptions): AsyncGenerator<RecordedLine[]> {
  const size = Math.min(
    BATCH_EVENTS_MAX * options.concurrency,
    Math.max(1, Math.ceil(options.rate ?? Infinity)),
  );
  let round: RecordedLine[] = [];
  for await (const recorded of options.recording) {
    if (recorded.line <= options.fromLine) continue;
    round.push(recorded);
    if (round.length < size) continue;
    yield round;
    round = [];
  }
  if (round.length > 0) yield round;
}

async function sendRound(round: readonly RecordedLine[], options: ReplayOptions): Promise<Tally> {
  const tally: MutableTally = { accepted: 0, duplicates: 0, rejected: {} };
  const lanes: GoodLine[][] = Array.from({ length: options.concurrency }, () => []);
  for (const recorded of round) {
    if (recorded.ok) lanes[laneOf('', recorded.playerId, options.concurrency)]?.push(recorded);
    else count(tally, recorded.reason);
  }
  // All settle before one may fail: no request of this round is left under way.
  const results = await Promise.allSettled(lanes.map((lane) => sendLane(lane, options, tally)));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return tally;
}

async function sendLane(
  lane: readonly GoodLine[],
  options: ReplayOptions,
  tally: MutableTally,
): Promise<void> {
  for (const batch of batchesOf(lane)) await sendBatch(batch, options, tally);
}

function* batchesOf(lane: readonly GoodLine[]): Generator<GoodLine[]> {
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

/** Sends a batch until each line of it is answered for good. */
async function sendBatch(
  batch: readonly GoodLine[],
  options: ReplayOptions,
  tally: MutableTally,
): Promise<void> {
  let left = batch;
  for (let attempt = 1; ; attempt += 1) {
    if (attempt > 1 && options.signal?.aborted === true) throw new Stopped();
    const answer = await exchange(left, options);
    if (answer?.status === 202) left = record(answer, left, tally);
    else if (answer !== null && isAboutBody(answer)) return refused(left, answer, options, tally);
    else if (answer !== null && !isRetryable(answer)) throw refusal(answer);
    if (left.length === 0) return;
    if (attempt >= ATTEMPTS_MAX) throw new OutageError('the gateway');
    await options.clock.sleep(waitMs(answer, attempt, options.random), options.signal);
  }
}

async function exchange(
  batch: readonly GoodLine[],
  { client }: Pick<ReplayOptions, 'client'>,
): Promise<ClientAnswer | null> {
  const body = batch.map((recorded) => recorded.body).join('\n');
  try {
    return await client.send('POST', '/v1/events/batch', { body, contentType: 'application/x-ndjson' });
  } catch (error) {
    if (error instanceof OutageError) return null; // no answer: the same batch again, with the same ids
    throw error;
  }
}

/** The whole body was refused, for the sake of one line perhaps: halves find it in few steps and keep the order. */
async function refused(
  batch: readonly GoodLine[],
  answer: ClientAnswer,
  options: ReplayOptions,
  tally: MutableTally,
): Promise<void> {
  if (batch.length <= 1) {
    count(tally, problemOf(answer).code);
    return;
  }
  const middle = Math.ceil(batch.length / 2);
  await sendBatch(batch.slice(0, middle), options, tally);
  await sendBatch(batch.slice(middle), options, tally);
}

const isAboutBody = (answer: ClientAnswer): boolean => answer.status === 400 || answer.status === 413;
const isRetryable = (answer: ClientAnswer): boolean =>
  answer.status === 429 || answer.status === 408 || answer.status >= 500;

function refusal(answer: ClientAnswer): FairtallyError {
  const { code, detail } = problemOf(answer);
  const why = [String(answer.status), code, detail === '' ? '' : `(${detail})`].filter((word) => word !== '');
  return new FairtallyError('replay_refused', `the gateway refuses the recording: ${why.join(' ')}`);
}

/** Exponential with full jitter, but never earlier than the gateway asks. */
function waitMs(answer: ClientAnswer | null, attempt: number, random: Pick<Random, 'unit'>): number {
  const asked = Number(answer?.headers['retry-after'] ?? 0) * 1000;
  const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(attempt, 10)) * random.unit();
  return (asked > 0 ? Math.min(asked, ASKED_WAIT_MAX_MS) : 0) + backoff;
}

interface AnswerItem {
  readonly status: 'accepted' | 'duplicate' | 'rejected';
  readonly code?: string;
  readonly retryable?: boolean;
}

/** Counts what is answered for good; returns the lines that are to be sent again. */
function record(answer: ClientAnswer, batch: readonly GoodLine[], tally: MutableTally): readonly GoodLine[] {
  const { results } = JSON.parse(answer.text) as { results: AnswerItem[] };
  if (results.length !== batch.length) {
    const message = 'the gateway answered another number of results than events were sent';
    throw new FairtallyError('replay_refused', message);
  }
  for (const item of results) {
    if (item.status === 'accepted') tally.accepted += 1;
    else if (item.status === 'duplicate') tally.duplicates += 1;
    else if (item.retryable !== true) count(tally, item.code ?? 'rejected');
  }
  return batch.filter(
    (_line, index) => results[index]?.status === 'rejected' && results[index].retryable === true,
  );
}

function count(tally: MutableTally, reason: string): void {
  tally.rejected[reason] = (tally.rejected[reason] ?? 0) + 1;
}

function problemOf(answer: ClientAnswer): { code: string; detail: string } {
  try {
    const { code, detail } = JSON.parse(answer.text) as { code?: unknown; detail?: unknown };
    return {
      code: typeof code === 'string' ? code : 'unknown',
      detail: typeof detail === 'string' ? detail : '',
    };
  } catch {
    return { code: 'unknown', detail: '' }; // a proxy in between answers in its own words
  }
}
