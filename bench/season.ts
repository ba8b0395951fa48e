import { readFileSync } from 'node:fs';
import type { Delivery } from '../pkg/bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../pkg/contract/event.js';
import { parseTimestamp } from '../pkg/contract/timestamp.js';
import { parseDefinition } from '../pkg/games/definition-file.js';
import type { GameDefinition } from '../pkg/games/port.js';
import { admittedEvent } from '../pkg/testkit/admitted-event.js';
import { readSeason } from '../sample_events/recompute.js';

const read = (name: string): string =>
  readFileSync(new URL(`../sample_events/${name}`, import.meta.url), 'utf8');

export const sampleDefinition = (): GameDefinition =>
  parseDefinition(read('demo.yaml'), { gameId: 'demo', version: 1 });

/** The sample season as a role gets it, in batches: every identity once, as a gateway admitted it. */
export function seasonBatches(definition: GameDefinition, size: number): Delivery[][] {
  const events = new Map<string, AdmittedEvent>();
  for (const { ts, ...sent } of readSeason(read('season.ndjson'))) {
    const mapped = definition.eventTypes.has(sent.type);
    const event = admittedEvent({ ...sent, tsMs: parseTimestamp(ts) ?? 0, mapped });
    if (!events.has(event.identity)) events.set(event.identity, event);
  }
  const deliveries = [...events.values()].map(deliveryOf);
  return Array.from({ length: Math.ceil(deliveries.length / size) }, (_, i) =>
    deliveries.slice(i * size, (i + 1) * size),
  );
}

const deliveryOf = (event: AdmittedEvent, index: number): Delivery => ({
  body: encodeEvent(event),
  headers: {},
  messageId: event.contentHash,
  gameId: event.gameId,
  playerId: event.playerId,
  position: `0/${String(index + 1)}`,
  attempt: 1,
});
