import type { SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import type { History } from './history.js';

export interface LoadOptions {
  /** Begins the ids of its events: apart from those of other loads. */
  readonly name: string;
  /** One per gateway: each request goes through any of them. */
  readonly clients: readonly SignedClient[];
  readonly players: number;
  readonly history: History;
  readonly clock: Clock;
  readonly random: Random;
  /** Aborts when no new events are to be made; what was intended is still sent until it is answered. */
  readonly signal: AbortSignal;
}

const EVENTS_PER_REQUEST_MAX = 8;
const RECENT_MAX = 400;
const RETRY_MS = { least: 20, spread: 100 };
const ATTEMPTS_MAX = 1_000;

/**
 * A client as games have them under fire: posts small batches for as long as told, sends what was not answered again until
 * it is, and for good measure what was answered again too, through whichever gateway. Every event adds experience.
 *
 * @throws FairtallyError `good_event_refused`, `no_answer`
 */
export async function runLoad(options: LoadOptions): Promise<void> {
  const { name, players, history, clock, random, signal } = options;
  const roll = (sides: number): number => Math.floor(random.unit() * sides);
  const recent: string[] = [];
  for (let n = 0; !signal.aborted; n += 1) {
    const fresh = Array.from({ length: 1 + roll(EVENTS_PER_REQUEST_MAX) }, (_, k) => {
      const id = `${name}-${String(n)}-${String(k)}`;
      history.intend(id);
      return JSON.stringify({
        id,
        type: 'progression',
        playerId: `crash-${String(roll(players))}`,
        ts: clock.now(),
        payload: { deltaXp: 1 + roll(20), activity: 'crash' },
      });
    });
    const again = recent.length === 0 ? [] : fresh.map(() => recent[roll(recent.length)] ?? '');
    recent.push(...fresh);
    await postUntilAnswered([...new Set([...fresh, ...again])], options, roll);
    if (recent.length > RECENT_MAX) recent.splice(0, RECENT_MAX / 2);
  }
}

async function postUntilAnswered(
  lines: readonly string[],
  { clients, history, clock }: LoadOptions,
  roll: (sides: number) => number,
): Promise<void> {
  const body = lines.join('\n');
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    const client = clients[roll(clients.length)];
    const answer = await client
      ?.send('POST', '/v1/events/batch', { body, contentType: 'application/x-ndjson' })
      .catch((error: unknown) => {
        if (error instanceof OutageError) return undefined;
        throw error;
      });
    if (answer?.status === 202) return note(answer.text, history);
    if (answer !== undefined && answer.status < 500)
      throw new FairtallyError('good_event_refused', `a good request was answered ${String(answer.status)}`);
    await clock.sleep(RETRY_MS.least + roll(RETRY_MS.spread));
  }
  throw new FairtallyError('no_answer', `nothing was answered in ${String(ATTEMPTS_MAX)} attempts`);
}

function note(text: string, history: History): void {
  const { results } = JSON.parse(text) as { results: { status: string; eventId: string; code?: string }[] };
  for (const { status, eventId, code } of results) {
    if (status === 'rejected')
      throw new FairtallyError('good_event_refused', `a good event was refused: ${String(code)}`);
    history.note(eventId, 'ok');
  }
}
