import type { EventContext } from '../contract/event.js';
import { refuse, type Refusal } from './answer.js';
import { decodeBody } from './decode-body.js';
import type { IngestLimits } from './limits.js';
import { sizeRefusal } from './limits.js';
import type { Hold } from './read-body.js';
import { readEnvelope, traceContext } from './read-envelope.js';
import type { Received } from './receive.js';
import { splitBatch, NO_FAULT, type SplitBatch } from './split-batch.js';
import { parseStrictJson, type JsonRead } from '../contract/strict-json.js';

export type Route = 'single' | 'batch';

/** What the transport says beside the signed bytes. */
export interface Posted {
  readonly route: Route;
  readonly requestId: string;
  /** Of the client's request, as it was sent; null when it sent none or none that can be read. */
  readonly traceparent: string | null;
  /** What the messages of the request carry: its own span where traces are made, else the client's. */
  readonly messageTraceparent: string | null;
  readonly hold: Hold;
}

/** A body taken apart: each event judged as JSON, none yet as an event. */
export interface Parsed {
  readonly ok: true;
  readonly items: readonly JsonRead[];
  /** Where in `decoded` those of them stand that are no sound JSON. */
  readonly faulty: SplitBatch['faulty'];
  readonly context: EventContext | null;
  /** The body without its content coding. */
  readonly decoded: Buffer;
}

/** Undoes gzip and takes the JSON apart. Refuses the request for what is wrong with the body as a whole. */
export function parseRequest(
  received: Received,
  posted: Posted,
  limits: IngestLimits,
): Parsed | Refusal | Promise<Parsed | Refusal> {
  if (received.media === 'ndjson' && posted.route === 'single') return refuse('unsupported_media_type');
  const { bytes } = received.body;
  if (received.headers.encoding === 'identity') return parseBody(bytes, received, posted, limits);
  return decodeBody(bytes, limits.maxDecodedBytes).then((decoded) => {
    if (!decoded.ok) return sizeRefusal(decoded.code, limits);
    posted.hold.add(decoded.bytes.length);
    return parseBody(decoded.bytes, received, posted, limits);
  });
}

function parseBody(
  decoded: Buffer,
  received: Received,
  { route, traceparent }: Posted,
  limits: IngestLimits,
): Parsed | Refusal {
  if (route === 'single') {
    const read = parseStrictJson(decoded, limits.json);
    if (!read.ok) return sizeRefusal(read.code, limits, read.pointer);
    return { ok: true, items: [read], faulty: NO_FAULT, context: traceContext(traceparent), decoded };
  }
  const split = splitBatch(decoded, received.media, { ...limits.json, maxItems: limits.maxEvents });
  if (!split.ok) return sizeRefusal(split.code, limits, split.pointer);
  if (split.items.length === 0) return refuse('empty_batch');
  const envelope = readEnvelope(split.envelope, traceparent);
  if (!envelope.ok) return refuse(envelope.code, { pointer: envelope.pointer });
  const { items, faulty } = split;
  return { ok: true, items, faulty, context: envelope.context, decoded };
}
