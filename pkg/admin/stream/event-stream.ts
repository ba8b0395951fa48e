import type { Response } from 'express';
import type { components } from '../../contract/admin-api.gen.js';
import type { Clock } from '../../kernel/clock.js';

type StreamEvent = components['schemas']['StreamEvent'];
export type ByeReason = Extract<StreamEvent, { type: 'bye' }>['reason'];
/** `left`: the page went, or its network did. */
export type EndReason = ByeReason | 'left';

/** Something that happened. */
export interface SentEvent {
  /** What a page comes back with, `[A-Za-z0-9_.:-]{1,128}`; null: it stands where it stood, as the standard has it. */
  readonly id: string | null;
  /** null: only where the page stands. It learns that with the next event. */
  readonly event: StreamEvent | null;
}

/** One page that listens. */
export interface EventStream {
  /** Never waits: what a page is too slow for ends its stream instead of filling our memory. */
  emit(sent: SentEvent): void;
  /** Says why, and ends. */
  end(reason: ByeReason): void;
  /** Aborts when the stream has ended, whoever ended it; its reason is an EndReason. */
  readonly ended: AbortSignal;
}

/** What may wait for a page that does not read. The kernel's buffers hold about as much again. */
export const WAITING_MAX_BYTES = 256 * 1024;
const COMMENT_EVERY_MS = 15_000;
/** After the last event a page has this long to read it. */
const FAREWELL_MS = 2_000;

/** Begins to answer with server-sent events (HTML Living Standard section 9.2). Event data is JSON: it holds no line break. */
export function openEventStream(response: Response, clock: Pick<Clock, 'sleep'>): EventStream {
  const ended = new AbortController();
  let reason: EndReason = 'left';
  response.once('close', () => ended.abort(reason));
  if (response.destroyed) ended.abort(reason); // the page left before we began
  response.set({
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no', // nginx would hold events back
  });
  response.status(200).flushHeaders();

  const write = (text: string): void => {
    if (response.writableEnded || response.destroyed) return;
    response.write(text);
    if (response.writableLength > WAITING_MAX_BYTES) end('too_slow');
  };
  const end = (why: ByeReason): void => {
    if (response.writableEnded || response.destroyed) return;
    reason = why;
    const bye = { type: 'bye', reason: why } satisfies StreamEvent;
    response.end(`event: bye\ndata: ${JSON.stringify(bye)}\n\n`);
    void clock.sleep(FAREWELL_MS, ended.signal).then(() => response.destroy());
  };
  const comment = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      write(':\n\n');
      await clock.sleep(COMMENT_EVERY_MS, ended.signal);
    }
  };
  void comment();
  return {
    emit: ({ id, event }) => {
      const place = id === null ? '' : `id: ${id}\n`;
      const data = event === null ? '' : `event: ${event.type}\ndata: ${JSON.stringify(event)}\n`;
      write(`${place}${data}\n`);
    },
    end,
    ended: ended.signal,
  };
}
