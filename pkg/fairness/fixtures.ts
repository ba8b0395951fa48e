import { createHash } from 'node:crypto';
import type { AdmittedEvent, JsonObject } from '../contract/event.js';
import type { FairnessMetric, GameDefinition } from '../games/port.js';
import type { RoleEvent } from '../worker/port.js';

/** Rules and events for the tests of this room. */
export const XP: FairnessMetric = {
  name: 'xp-gain',
  eventType: 'progression',
  value: { field: 'deltaXp' },
  partitionField: null,
  transform: 'none',
  side: 'both',
  minSamples: 10,
  maxZ: 3,
};
export const KILL_TIME: FairnessMetric = {
  name: 'kill-time',
  eventType: 'boss_kill',
  value: { field: 'durationMs' },
  partitionField: 'bossId',
  transform: 'log',
  side: 'low',
  minSamples: 3,
  maxZ: 2,
};
export const DROP_GAP: FairnessMetric = {
  name: 'drop-gap',
  eventType: 'drop_claimed',
  value: { sincePrevious: true },
  partitionField: null,
  transform: 'none',
  side: 'low',
  minSamples: 3,
  maxZ: 2,
};

/** Only what this room reads of a definition. */
export const definitionWith = (...fairness: FairnessMetric[]): GameDefinition =>
  ({ gameId: 'demo', version: 1, fairness }) as unknown as GameDefinition;

export const ALL = definitionWith(XP, KILL_TIME, DROP_GAP);

export function roleEvent(
  id: string,
  type: string,
  payload: JsonObject,
  { playerId = 'p-1', gameId = 'demo', tsMs = 1_792_454_400_000, definition = ALL } = {},
): RoleEvent {
  const hash = createHash('sha256').update(`${gameId} ${playerId} ${id}`).digest('hex');
  const event: AdmittedEvent = {
    v: 1,
    gameId,
    playerId,
    id,
    type,
    tsMs,
    payload,
    identity: hash.slice(0, 32),
    dedupeDay: new Date(tsMs).toISOString().slice(0, 10),
    contentHash: hash,
    receivedAtMs: tsMs,
    src: 'server',
    keyId: 'demo',
    definitionVersion: definition.version,
    mapped: true,
  };
  return { event, definition };
}

export const progression = (id: string, deltaXp: number, playerId = 'p-1'): RoleEvent =>
  roleEvent(id, 'progression', { deltaXp, activity: 'quest' }, { playerId });

export const dropAt = (id: string, tsMs: number): RoleEvent =>
  roleEvent(id, 'drop_claimed', { dropId: id }, { tsMs });
