import type { ClientAnswer, SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { History } from './history.js';
import { LoadPlan, type PlannedEvent, type PlannedRequest } from './plan.js';

export interface LoadOptions {
  /** Begins the ids of its events: apart from those of other loads. */
  readonly name: string;
  /** One per gateway: each request goes through any of them. */
  readonly clients: readonly SignedClient[];
  readonly players: number;
  readonly history: History;
  readonly clock: Clock;
  readonly random: Random;
  /** Between an answer and the next request; none unless given. */
  readonly pauseMs?: number;
  /** Aborts when no new events are to be made; what was intended is still sent until it is answered. */
  readonly signal: AbortSignal;
}

const RETRY_MS = { least: 20, spread: 100 };
/** Of requests without an answer: sent again as it was, Idempotency-Key and all; else its events go into other requests. */
const SAME_AGAIN_SHARE = 0.6;
const UNANSWERED_MAX = 1_000;

/**
 * A client as games have them under fire: posts small batches for as long as told, sends what was not answered again until
 * it is, and for good measure what was answered again too, through whichever gateway; and such as must be refused.
 *
 * @throws FairtallyError `good_event_refused`, `bad_event_taken`, `no_answer`
 */
export async function runLoad(options: LoadOptions): Promise<void> {
  const { history, clock, random, signal, pauseMs = 0 } = options;
  const plan = new LoadPlan(options, history);
  let unanswered = 0;
  for (;;) {
    const request = signal.aborted ? plan.last() : plan.next(clock.now());
    if (request === null) return;
    intend(request, history);
    for (;;) {
      const answer = await post(request, options);
      if (answer !== null) {
        unanswered = 0;
        note(request, answer, plan, history);
        if (pauseMs > 0) await clock.sleep(pauseMs, signal);
        break;
      }
      unanswered += 1;
      if (unanswered > UNANSWERED_MAX)
        throw new FairtallyError('no_answer', `nothing was answered in ${String(UNANSWERED_MAX)} attempts`);
      await clock.sleep(RETRY_MS.least + random.unit() * RETRY_MS.spread);
      if (random.unit() >= SAME_AGAIN_SHARE) {
        plan.owe(request.events);
        break;
      }
      history.did('again-after-unknown', request.events.length);
    }
  }
}

/** Of what nobody may take it is clear from the beginning what must become of it. */
function intend({ events }: PlannedRequest, history: History): void {
  for (const { key, kind } of events) {
    history.intend(key);
    if (kind !== 'good') history.note(key, 'fail');
  }
}

/** null: no answer, or one that says to try again. */
async function post(
  { events, idempotencyKey }: PlannedRequest,
  { clients, random }: LoadOptions,
): Promise<ClientAnswer | null> {
  const client = clients[Math.floor(random.unit() * clients.length)];
  const lines = events.map(({ body }) => JSON.stringify(body));
  const [target, contentType] =
    lines.length === 1 ? ['/v1/events', 'application/json'] : ['/v1/events/batch', 'application/x-ndjson'];
  const body = lines.join('\n');
  const answer = await client
    ?.send('POST', target, { body, contentType, ...(idempotencyKey === null ? {} : { idempotencyKey }) })
    .catch((error: unknown) => {
      if (error instanceof OutageError) return undefined;
      throw error;
    });
  if (answer === undefined || answer.status >= 500) return null;
  return answer.status >= 400 && problemOf(answer).retryable === true ? null : answer;
}

interface Problem {
  readonly code?: string;
  readonly retryable?: boolean;
}
const problemOf = ({ text }: ClientAnswer): Problem => JSON.parse(text) as Problem;

/** Of each event, in their order. */
function resultsOf(
  { events }: PlannedRequest,
  answer: ClientAnswer,
): readonly { readonly status: string; readonly code?: string }[] {
  if (answer.status === 202) return (JSON.parse(answer.text) as { results: { status: string }[] }).results;
  const { code } = problemOf(answer);
  if (events.length === 1 && code !== undefined) return [{ status: 'rejected', code }];
  throw new FairtallyError(
    'good_event_refused',
    `a good request was answered ${String(answer.status)} ${String(code)}`,
  );
}

function note(request: PlannedRequest, answer: ClientAnswer, plan: LoadPlan, history: History): void {
  const results = resultsOf(request, answer);
  request.events.forEach((event, place) => {
    const result = results[place];
    if (result === undefined) throw new FairtallyError('no_answer', `${event.key} has no result of its own`);
    if (result.status === 'rejected') refused(event, result.code ?? '', plan, history);
    else taken(event, history);
  });
}

/** The codes of what must be refused. */
const BAD = 'invalid_payload';
const CONFLICT = 'event_id_conflict';

function refused(event: PlannedEvent, code: string, plan: LoadPlan, history: History): void {
  const isRight = event.kind === 'bad' ? code === BAD : code === CONFLICT;
  if (!isRight || (event.kind === 'good' && !plan.hasRival(event)))
    throw new FairtallyError('good_event_refused', `${event.key} was refused: ${code}`);
  history.did('refused');
  history.note(event.key, 'fail');
}

function taken({ key, kind }: PlannedEvent, history: History): void {
  if (kind === 'bad') throw new FairtallyError('bad_event_taken', `${key} was taken`);
  if (kind === 'rival') history.did('rival-taken');
  history.note(key, 'ok');
}
