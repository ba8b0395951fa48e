import { createHash, hash, type Hash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../kernel/clock.js';

/** A body that has not come to its end yet. */
interface Upload {
  readonly sinceMs: number;
  /** Gives it up. */
  readonly end: () => void;
}

/** Most bodies come in one piece with their headers; one that takes longer is borne as long as there is room. */
const SLOW_UPLOAD_MS = 1_000;

/** What all requests in hand hold together. */
export class InFlight {
  requests = 0;
  bytes = 0;
  /** See IngestLimits.maxWork. */
  work = 0;
  /** In the order in which they began. */
  readonly #uploads = new Set<Upload>();
  readonly #clock: Pick<Clock, 'monotonicMs'>;

  constructor(clock: Pick<Clock, 'monotonicMs'>) {
    this.#clock = clock;
  }

  /** @returns what to call when it is over, however it ends */
  begin(end: () => void): () => void {
    const upload = { sinceMs: this.#clock.monotonicMs(), end };
    this.#uploads.add(upload);
    return () => void this.#uploads.delete(upload);
  }

  /** Nobody has shown a right signature before the body is here: whoever only uploads must not keep all others out. */
  endSlowUploads(): void {
    const beforeMs = this.#clock.monotonicMs() - SLOW_UPLOAD_MS;
    for (const { sinceMs, end } of this.#uploads) {
      if (sinceMs > beforeMs) return;
      end();
    }
  }
}

/** What one request holds of the common bounds, given back at its end. */
export class Hold {
  #bytes = 0;
  #work = 0;
  readonly #inFlight: InFlight;

  constructor(inFlight: InFlight) {
    this.#inFlight = inFlight;
  }

  fits(bytes: number, maxBytes: number): boolean {
    return this.#inFlight.bytes + bytes <= maxBytes;
  }

  /** What is read for this request is given up by calling `end`, should there be no room for others. */
  begin(end: () => void): () => void {
    return this.#inFlight.begin(end);
  }

  endSlowUploads(): void {
    this.#inFlight.endSlowUploads();
  }

  add(bytes: number): void {
    this.#bytes += bytes;
    this.#inFlight.bytes += bytes;
  }

  /** How much work the request is, as far as is known by now. */
  work(work: number): void {
    this.#inFlight.work += work - this.#work;
    this.#work = work;
  }

  release(): void {
    this.work(0);
    this.#inFlight.bytes -= this.#bytes;
    this.#bytes = 0;
  }
}

export interface Body {
  readonly ok: true;
  readonly bytes: Buffer;
  readonly sha256Hex: string;
}

export type BodyRead =
  Body | { readonly ok: false; readonly code: 'body_too_large' | 'overloaded' | 'incomplete_body' };

export interface BodyCaps {
  readonly maxBodyBytes: number;
  readonly maxInFlightBytes: number;
}

/** The bytes a request says it has; null when it does not say (chunked). Node has checked the header's form. */
export const declaredLength = (request: Pick<IncomingMessage, 'headers'>): number | null => {
  const header = request.headers['content-length'];
  return header === undefined ? null : Number(header);
};

/**
 * Reads a body under its cap and hashes it as it comes. Stops at the first byte too many: what follows is the caller's to
 * discard. What it keeps is added to `hold`. One that is slow is `overloaded` when others find no room.
 */
export function readBody(request: IncomingMessage, caps: BodyCaps, hold: Hold): Promise<BodyRead> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let hasher: Hash | null = null;
    const fail = (code: 'body_too_large' | 'overloaded' | 'incomplete_body'): void => {
      over();
      request.off('data', onData).off('end', onEnd);
      resolve({ ok: false, code });
    };
    const over = hold.begin(() => fail('overloaded'));
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > caps.maxBodyBytes) return fail('body_too_large');
      if (!hold.fits(chunk.length, caps.maxInFlightBytes)) {
        hold.endSlowUploads();
        return fail('overloaded');
      }
      hold.add(chunk.length);
      chunks.push(chunk);
      // Most bodies come in one piece, and one piece is hashed in half the time by one call at the end.
      if (chunks.length === 2) hasher = createHash('sha256').update(chunks[0] ?? chunk);
      hasher?.update(chunk);
    };
    const onEnd = (): void => {
      over();
      const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, size);
      resolve({ ok: true, bytes, sha256Hex: hasher?.digest('hex') ?? hash('sha256', bytes, 'hex') });
    };
    const onClose = (): void => fail('incomplete_body'); // after the end it changes nothing
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}
