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
 * A burst may fill all of the room. Where it has not been nearly empty for so long, as many come as are served: with more in
 * hand nothing is done sooner and everybody waits longer, so no more than this share is taken then.
 */
const BURST_MS = 1_000;
const STANDING = 0.5;

/**
 * Turns requests away before anything of them is read, but for the line and the headers. Under overload it answers most of
 * them, so it asks nobody, waits for nothing and keeps nothing.
 */
export class Doorkeeper {
  readonly #deps: Pick<IngestDeps, 'limits' | 'loadGate' | 'random' | 'clock'>;
  readonly #inFlight: InFlight;
  /** When there was hardly any work in hand, as far as a request has met it. */
  #calmAtMs = -Infinity;

  constructor(deps: Pick<IngestDeps, 'limits' | 'loadGate' | 'random' | 'clock'>, inFlight: InFlight) {
    this.#deps = deps;
    this.#inFlight = inFlight;
  }

  /** null: it may come in. */
  shedFor(request: IncomingMessage): ShedReason | null {
    const { limits, loadGate, clock } = this.#deps;
    const { overload } = loadGate;
    if (overload === 'disk' || overload === 'unapplied') return overload;
    const { requests, bytes, work } = this.#inFlight;
    if (work < limits.maxWork * HARDLY_ANY) this.#calmAtMs = clock.monotonicMs();
    else {
      if (overload !== null) return overload;
      const isBurst = clock.monotonicMs() - this.#calmAtMs <= BURST_MS;
      if (work >= limits.maxWork * (isBurst ? 1 : STANDING)) return 'work';
      if (loadGate.publishWaitMs() > (limits.maxPublishWaitMs ?? Infinity)) return 'publish';
    }
    const more = Math.min(declaredLength(request) ?? 0, limits.maxBodyBytes);
    const isRoom = requests < limits.maxInFlightRequests && bytes + more <= limits.maxInFlightBytes;
    if (isRoom) return null;
    this.#inFlight.endSlowUploads(); // whoever comes next may find room
    return requests >= limits.maxInFlightRequests ? 'requests' : 'bytes';
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
