import type { IncomingMessage } from 'node:http';
import type { Overload } from '../admission/port.js';
import { problemAnswers, retryLater, retrySoon, type ProblemAnswer } from './answer.js';
import type { IngestDeps } from './port.js';
import { declaredLength, type InFlight } from './read-body.js';

/** Why a request with events is turned away at the door: the bounds of this process, and what its load gate says. */
export type ShedReason = Overload | 'publish' | 'work' | 'requests' | 'bytes';

/**
 * With less than this share of the most work in hand a late loop or a slow bus turns nobody away: few requests are not what
 * makes them so, and somebody has to find out when it is over.
 */
const HARDLY_ANY = 0.1;

/**
 * A burst may fill all of the room. Where on average of a second this share of it is taken as many come as are served: with
 * more in hand nothing is done sooner and everybody waits longer, so half of it is all there is then.
 */
const STANDING_FROM = 0.2;
const STANDING_ROOM = 0.5;
const MEAN_OVER_MS = 1_000;

/**
 * Turns requests away before anything of them is read, but for the line and the headers. Under overload it answers most of
 * them, so it asks nobody, waits for nothing and keeps nothing.
 */
export class Doorkeeper {
  readonly #deps: Pick<IngestDeps, 'limits' | 'loadGate' | 'random' | 'clock'>;
  readonly #inFlight: InFlight;
  /** Of the work in hand, as requests have met it. */
  #meanWork = 0;
  #metAtMs = -Infinity;

  constructor(deps: Pick<IngestDeps, 'limits' | 'loadGate' | 'random' | 'clock'>, inFlight: InFlight) {
    this.#deps = deps;
    this.#inFlight = inFlight;
  }

  /** null: it may come in. */
  shedFor(request: Pick<IncomingMessage, 'headers'>): ShedReason | null {
    const { limits, loadGate } = this.#deps;
    const { overload } = loadGate;
    if (overload === 'disk' || overload === 'unapplied') return overload;
    const { requests, bytes, work } = this.#inFlight;
    const room = this.#room();
    if (work >= limits.maxWork * HARDLY_ANY) {
      if (overload !== null) return overload;
      if (work >= room) return 'work';
      if (loadGate.publishWaitMs() > (limits.maxPublishWaitMs ?? Infinity)) return 'publish';
    }
    const more = Math.min(declaredLength(request) ?? 0, limits.maxBodyBytes);
    const isRoom = requests < limits.maxInFlightRequests && bytes + more <= limits.maxInFlightBytes;
    if (isRoom) return null;
    this.#inFlight.endSlowUploads(); // whoever comes next may find room
    return requests >= limits.maxInFlightRequests ? 'requests' : 'bytes';
  }

  /** How much work there may be in hand. To be asked at every request. */
  #room(): number {
    const { limits, clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    const weight = Math.min(1, (nowMs - this.#metAtMs) / MEAN_OVER_MS);
    this.#meanWork += (this.#inFlight.work - this.#meanWork) * weight;
    this.#metAtMs = nowMs;
    return limits.maxWork * (this.#meanWork > limits.maxWork * STANDING_FROM ? STANDING_ROOM : 1);
  }

  /** What is answered to who is turned away. */
  answer(reason: ShedReason, requestId: string): ProblemAnswer {
    const { random } = this.#deps;
    return reason === 'disk'
      ? storageFull(requestId, retryLater(random))
      : overloaded(requestId, retrySoon(random));
  }
}

const storageFull = problemAnswers('storage_full');
const overloaded = problemAnswers('overloaded');
