import type { EventContext } from '../contract/event.js';
import type { ProblemCode } from '../contract/problem.js';
import { parseTimestamp } from '../contract/timestamp.js';
import { pointerSegment } from '../contract/json-text.js';

const TEXT_MAX = 64;
const CONTEXT_FIELDS: ReadonlySet<string> = new Set(['build', 'platform', 'sessionId']);

export type EnvelopeRead =
  | { readonly ok: true; readonly context: EventContext | null }
  | { readonly ok: false; readonly code: ProblemCode; readonly pointer: string };

/** What an event says of the trace that the client's request belongs to. */
export const traceContext = (traceparent: string | null): EventContext | null =>
  traceparent === null ? null : { traceparent };

/** What a batch says of all its events: `{sentAt?, context?: {build, platform, sessionId}}`, the members beside `events`. */
export function readEnvelope(
  envelope: Readonly<Record<string, unknown>> | null,
  traceparent: string | null,
): EnvelopeRead {
  const trace = traceContext(traceparent);
  if (envelope === null) return { ok: true, context: trace };
  for (const key of Object.keys(envelope)) {
    if (key !== 'sentAt' && key !== 'context') return fault('unknown_field', pointerSegment(key));
  }
  const { sentAt, context = {} } = envelope;
  const sentAtMs = sentAt === undefined ? null : parseTimestamp(sentAt);
  if (sentAt !== undefined && sentAtMs === null) return fault('invalid_ts', '/sentAt');
  if (typeof context !== 'object' || context === null || Array.isArray(context)) {
    return fault('invalid_field', '/context');
  }
  for (const [key, value] of Object.entries(context)) {
    if (!CONTEXT_FIELDS.has(key)) return fault('unknown_field', `/context${pointerSegment(key)}`);
    if (typeof value !== 'string' || value.length > TEXT_MAX) {
      return fault('invalid_field', `/context${pointerSegment(key)}`);
    }
  }
  return { ok: true, context: { ...context, ...(sentAtMs === null ? {} : { sentAtMs }), ...trace } };
}

const fault = (code: ProblemCode, pointer: string): EnvelopeRead => ({ ok: false, code, pointer });
