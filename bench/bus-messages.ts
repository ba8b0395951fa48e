import { createHash } from 'node:crypto';
import type { BusMessage } from '../pkg/bus/port.js';
import { decodeEvent, encodeEvent } from '../pkg/contract/event.js';
import { sampleDefinition, seasonBatches } from './season.js';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const CONTEXT = {
  build: '4.2.0-live.1893',
  platform: 'playstation-5',
  sessionId: '01a158fa-107e-7c04-9d12-46beaad8669e',
  traceparent: TRACE,
};

let season: readonly Pick<BusMessage, 'gameId' | 'playerId' | 'body'>[] | null = null;

/** The sample season as clients with a context and a trace send it. */
const readSeason = (): typeof season & object =>
  (season ??= seasonBatches(sampleDefinition(), 1_000)
    .flat()
    .map(({ gameId, playerId, body }) => {
      const event = decodeEvent(body);
      const context = { ...CONTEXT, sentAtMs: event.tsMs };
      return { gameId, playerId, body: encodeEvent({ ...event, context }) };
    }));

/** What `calls` calls of `publish` hand over, every message with an id of its own: brokers drop repeats. */
export function callsOf(run: string, calls: number, perCall: number): BusMessage[][] {
  const events = readSeason();
  const messageAt = (n: number): BusMessage => ({
    ...events[n % events.length]!,
    messageId: createHash('sha256')
      .update(`${run}/${String(n)}`)
      .digest('hex'),
    headers: { traceparent: TRACE },
  });
  return Array.from({ length: calls }, (_, call) =>
    Array.from({ length: perCall }, (__, n) => messageAt(call * perCall + n)),
  );
}
