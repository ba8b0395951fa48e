import { api, dataOf, OWN_PAGE } from './client.ts';
import { ApiError } from './problem.ts';
import type { Schema } from './schema.ts';

export type StreamTopic = Schema<'StreamTopic'>;
export type StreamEvent = Schema<'StreamEvent'>;

export interface LiveCallbacks {
  readonly onEvent: (event: StreamEvent) => void;
  /** `live` while events come; `waiting` while a new stream is being opened; `refused` when it never will be. */
  readonly onState: (state: LiveState) => void;
}

export type LiveState = 'waiting' | 'live' | 'refused';

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;
const TYPES = ['board', 'finding', 'pipeline', 'bye'] as const;

/**
 * What happens in a game, as it happens. A ticket opens one stream, once; after an error the stream is closed, a new ticket asked for,
 * and the last event seen is named, so that nothing between is missed. Pauses grow, and are spread by chance, so that a restart of the
 * service does not bring every page back in the same instant.
 *
 * @returns ends it
 */
export function openLive(
  gameId: string,
  topics: readonly StreamTopic[],
  { onEvent, onState }: LiveCallbacks,
): () => void {
  let source: EventSource | null = null;
  let timer = 0;
  let failures = 0;
  let lastEventId = '';
  let isOver = false;

  const again = () => {
    source?.close();
    source = null;
    if (isOver) return;
    onState('waiting');
    const pauseMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) * (0.5 + Math.random() / 2);
    failures += 1;
    timer = window.setTimeout(() => void connect(), pauseMs);
  };
  const take = (message: MessageEvent<string>) => {
    failures = 0;
    if (message.lastEventId !== '') lastEventId = message.lastEventId;
    const event = JSON.parse(message.data) as StreamEvent;
    if (event.type === 'bye') again();
    else onEvent(event);
  };
  const connect = async () => {
    try {
      const { ticket } = await dataOf(
        api.POST('/admin/v1/games/{gameId}/stream-tickets', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: { topics: [...topics] },
        }),
      );
      if (isOver) return;
      const query = new URLSearchParams({ ticket, ...(lastEventId === '' ? {} : { lastEventId }) });
      source = new EventSource(`/admin/v1/stream?${query.toString()}`);
      source.onopen = () => onState('live');
      source.onerror = again;
      for (const type of TYPES) source.addEventListener(type, take);
    } catch (error) {
      if (error instanceof ApiError && [401, 403, 404].includes(error.status)) onState('refused');
      else again();
    }
  };
  onState('waiting');
  void connect();
  return () => {
    isOver = true;
    window.clearTimeout(timer);
    source?.close();
  };
}
