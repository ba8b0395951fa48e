import type { Request, RequestHandler } from 'express';
import { DEFAULT_JSON_LIMITS, parseStrictJson, type JsonLimits } from '../contract/strict-json.js';
import type { Clock } from '../kernel/clock.js';
import { RequestProblem } from './request-problem.js';

/** The bytes of a request as they travelled, because a signature covers those, and when its headers arrived. */
export interface Sent {
  readonly bytes: Buffer;
  readonly arrivedAtMs: number;
}

/** What these routes take: a session's request or a receipt. Events go another way. */
export const BODY_MAX_BYTES = 16 * 1024;

const JSON_TYPE = /^application\/json *(; *charset *= *"?utf-8"? *)?$/i;

export const sentOf = (request: Request): Sent => request.body as Sent;

/** Reads a body up to its limit in bytes; a longer or compressed one is refused without reading its rest. */
export const readBody =
  (clock: Pick<Clock, 'now'>, bytesMax = BODY_MAX_BYTES): RequestHandler =>
  async (request, _response, next) => {
    request.body = await bodyOf(request, clock, bytesMax);
    next();
  };

/** What `readBody` reads. @throws RequestProblem `body_too_large`, `unsupported_encoding`, `incomplete_body` */
export async function bodyOf(request: Request, clock: Pick<Clock, 'now'>, bytesMax: number): Promise<Sent> {
  const arrivedAtMs = clock.now();
  const {
    'content-length': declared = '0',
    'content-encoding': coding = 'identity',
    'transfer-encoding': framing,
  } = request.headers;
  if (Number(declared) > bytesMax) throw tooLarge(bytesMax);
  if (coding.toLowerCase() !== 'identity') throw new RequestProblem('unsupported_encoding');
  // One piece of memory, however small the pieces are in which it comes.
  let bytes: Buffer = Buffer.allocUnsafe(
    framing === undefined ? Number(declared) : Math.min(FIRST_BYTES, bytesMax),
  );
  let size = 0;
  await new Promise<void>((resolve, reject) => {
    const finish = (problem?: RequestProblem): void => {
      request.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      if (problem === undefined) resolve();
      else reject(problem);
    };
    const onData = (piece: Buffer): void => {
      const needed = size + piece.length;
      if (needed > bytesMax) return finish(tooLarge(bytesMax));
      if (needed > bytes.length)
        bytes = longer(bytes, Math.min(Math.max(needed, 2 * bytes.length), bytesMax));
      piece.copy(bytes, size);
      size = needed;
    };
    const onEnd = (): void => finish();
    const onClose = (): void => finish(new RequestProblem('incomplete_body'));
    request.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
  return { bytes: bytes.subarray(0, size), arrivedAtMs };
}

/** What is set aside for a body that does not say how long it is. */
const FIRST_BYTES = 4 * 1024;

function longer(bytes: Buffer, size: number): Buffer {
  const grown = Buffer.allocUnsafe(size);
  bytes.copy(grown);
  return grown;
}

const tooLarge = (bytesMax: number): RequestProblem =>
  new RequestProblem('body_too_large', { limits: { bodyBytes: bytesMax } });

/** A text may be as long as the body, whose length is limited before. */
const JSON_LIMITS: JsonLimits = { ...DEFAULT_JSON_LIMITS, maxStringBytes: Infinity };

/** The JSON that was sent, read as strictly as events are. Where a fault stands is not told: the keys are the sender's text. @throws RequestProblem */
export function jsonValue(request: Request): unknown {
  const { bytes } = sentOf(request);
  if (!JSON_TYPE.test(request.headers['content-type'] ?? ''))
    throw new RequestProblem('unsupported_media_type');
  const read = parseStrictJson(bytes, JSON_LIMITS);
  if (!read.ok) throw new RequestProblem(read.code);
  return read.value;
}

/** A JSON object of no other keys than these. @throws RequestProblem */
export function jsonObject(request: Request, keys: readonly string[]): Readonly<Record<string, unknown>> {
  const value = jsonValue(request);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RequestProblem('invalid_field', { pointer: '' });
  for (const key of Object.keys(value)) if (!keys.includes(key)) throw new RequestProblem('unknown_field');
  return value as Readonly<Record<string, unknown>>;
}
