/** Where a piece of work stands in a distributed trace: the header `traceparent` of W3C Trace Context, taken apart. */
export interface TraceContext {
  /** 32 lowercase hex digits, not all zero. */
  readonly traceId: string;
  /** 16 lowercase hex digits, not all zero. */
  readonly spanId: string;
  /** One byte; its lowest bit says that the trace is recorded. */
  readonly flags: number;
}

const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const VERSION = '00';
const NO_VERSION = 'ff';
const NO_TRACE = '0'.repeat(32);
const NO_SPAN = '0'.repeat(16);
const SAMPLED = 1;

/**
 * Reads a traceparent. Of a version yet to come the known beginning is taken, and of its flags the one whose meaning is
 * settled (W3C Trace Context, section 3.2). null for everything else: then there is no trace, never an error.
 */
export function readTraceparent(text: string): TraceContext | null {
  const match = FORM.exec(text);
  if (match === null) return null;
  const [, version = '', traceId = '', spanId = '', flags = '', more] = match;
  if (version === NO_VERSION || traceId === NO_TRACE || spanId === NO_SPAN) return null;
  if (version === VERSION) {
    return more === undefined ? { traceId, spanId, flags: parseInt(flags, 16) } : null;
  }
  return { traceId, spanId, flags: parseInt(flags, 16) & SAMPLED };
}

/** The text of version 00; of one that was read as version 00 it is the same text. */
export const traceparentOf = ({ traceId, spanId, flags }: TraceContext): string =>
  `${VERSION}-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`;
