import type { Clock } from './clock.js';
import type { Random } from './random.js';

/** 48 bits of milliseconds: the year 10889. */
const TIME_MAX_MS = 2 ** 48 - 1;

/**
 * A UUIDv7 (RFC 9562 section 5.7) of this instant, in lower case: 48 bits of milliseconds, then 74 random bits. Ids of one
 * millisecond stand in no order.
 *
 * @throws RangeError when the clock stands before 1970 or beyond 48 bits
 */
export function uuid7(clock: Pick<Clock, 'now'>, random: Pick<Random, 'bytes'>): string {
  const timeMs = Math.floor(clock.now());
  if (!(timeMs >= 0 && timeMs <= TIME_MAX_MS))
    throw new RangeError('the clock is beyond what a UUIDv7 holds');
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(timeMs, 0, 6);
  bytes.set(random.bytes(10), 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
