import type { Response } from 'express';
import type { components } from '../../contract/admin-api.gen.js';
import type { Clock } from '../../kernel/clock.js';

type StreamEvent = components['schemas']['StreamEvent'];
export type ByeReason = Extract<StreamEvent, { type: 'bye' }>['reason'];

/** Something that happened, with the id that a page comes back with. */
export interface SentEvent {
  /** `[A-Za-z0-9_.:-]{1,128}` */
  readonly id: string;
  readonly event: StreamEvent;
}

/** One page that listens. */
export interface EventStream {
  /** Never waits: what a page is too slow for ends its stream instead of filling our memory. */
  emit(sent: SentEvent): void;
  /** Says why, and ends. */
  end(reason: ByeReason): void;
  /** Aborts when the stream has ended, whoever ended it. */
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
  response.once('close', () => ended.abort());
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
  const end = (reason: ByeReason): void => {
    if (response.writableEnded || response.destroyed) return;
    const bye = { type: 'bye', reason } satisfies StreamEvent;
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
    emit: ({ id, event }) => write(`id: ${id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`),
    end,
    ended: ended.signal,
  };
}
