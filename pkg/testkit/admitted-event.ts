import { contentHashOf, dedupeDayOf, identityOf } from '../contract/identity.js';
import type { AdmittedEvent } from '../contract/event.js';
import type { GameDefinition } from '../games/port.js';
import type { RoleEvent } from '../worker/port.js';

export const TEST_TS_MS = 1_795_176_000_250;

/** A progression event of player p-1 unless overridden; identity, day and content hash fit the rest. */
export function admittedEvent(overrides: Partial<AdmittedEvent> & { readonly id: string }): AdmittedEvent {
  const event = {
    v: 1 as const,
    gameId: 'demo',
    playerId: 'p-1',
    type: 'progression',
    tsMs: TEST_TS_MS,
    payload: { deltaXp: 10, activity: 'quest' },
    receivedAtMs: TEST_TS_MS + 40,
    src: 'server' as const,
    keyId: 'demo',
    definitionVersion: 1,
    mapped: true,
    ...overrides,
  };
  const dedupeDay = dedupeDayOf(event.id, event.tsMs);
  return {
    identity: identityOf(event.gameId, event.playerId, dedupeDay, event.id),
    dedupeDay,
    contentHash: contentHashOf(event),
    ...event,
  };
}

/** An event admitted under a definition. */
export function roleEvent(
  definition: GameDefinition,
  overrides: Partial<AdmittedEvent> & { readonly id: string },
): RoleEvent {
  const event = admittedEvent({
    gameId: definition.gameId,
    definitionVersion: definition.version,
    ...overrides,
  });
  return { event, definition };
}
