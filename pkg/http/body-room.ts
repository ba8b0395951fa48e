import type { IncomingMessage } from 'node:http';
import { RequestProblem } from './request-problem.js';

export interface BodyRoomLimits {
  /** Of all bodies that are being read or worked on, in sum. */
  readonly bytesMax: number;
  /** Of those of one holder: nobody keeps all others out. */
  readonly bytesMaxOfOne: number;
}

/** What the bodies of one process may hold in memory together. */
export class BodyRoom {
  readonly #limits: BodyRoomLimits;
  readonly #held = new Map<string, number>();
  #sum = 0;

  constructor(limits: BodyRoomLimits) {
    this.#limits = limits;
  }

  /**
   * Takes room for as many bytes as a request says it sends, or for the most it may send where it does not say: to be asked
   * before the first is read.
   *
   * @param holder who sends it
   * @returns gives the room back, to be called once
   * @throws RequestProblem `overloaded` where there is none
   */
  take(holder: string, request: Pick<IncomingMessage, 'headers'>, bytesMax: number): () => void {
    const bytes = Math.min(declaredBytes(request) ?? bytesMax, bytesMax);
    const ofHolder = this.#held.get(holder) ?? 0;
    const { bytesMax: sumMax, bytesMaxOfOne } = this.#limits;
    if (bytes > 0 && (this.#sum + bytes > sumMax || ofHolder + bytes > bytesMaxOfOne))
      throw new RequestProblem('overloaded');
    this.#add(holder, bytes);
    return () => this.#add(holder, -bytes);
  }

  #add(holder: string, bytes: number): void {
    this.#sum += bytes;
    const ofHolder = (this.#held.get(holder) ?? 0) + bytes;
    if (ofHolder > 0) this.#held.set(holder, ofHolder);
    else this.#held.delete(holder);
  }
}

/** How long the body is; null where its end alone will tell (RFC 9112 section 6.3). */
function declaredBytes({ headers }: Pick<IncomingMessage, 'headers'>): number | null {
  if (headers['transfer-encoding'] !== undefined) return null;
  return Number(headers['content-length'] ?? 0);
}
