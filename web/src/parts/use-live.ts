import { useEffect, useEffectEvent, useState } from 'react';
import { openLive, type LiveState, type StreamEvent, type StreamTopic } from '../api/live.ts';

/**
 * Keeps a stream of these topics open while the page is. Other topics close it and open another; none open none.
 *
 * @param seeAgain called whenever the stream is open, at first and after it broke: a topic that tells only what is new has not told
 *   what came in between
 */
export function useLive(
  gameId: string,
  topics: readonly StreamTopic[],
  take: (event: StreamEvent) => void,
  seeAgain?: () => void,
): LiveState {
  const [state, setState] = useState<LiveState>('waiting');
  const onEvent = useEffectEvent(take);
  const onState = useEffectEvent((next: LiveState) => {
    setState(next);
    if (next === 'live') seeAgain?.();
  });
  const key = JSON.stringify(topics);
  useEffect(() => {
    const wanted = JSON.parse(key) as StreamTopic[];
    if (wanted.length === 0) return undefined;
    return openLive(gameId, wanted, {
      onEvent: (event) => onEvent(event),
      onState: (next) => onState(next),
    });
  }, [gameId, key]);
  return state;
}
