import type { AdmittedEvent } from '../contract/event.js';
import type { GameDefinition } from '../games/port.js';
import { PoisonError } from '../kernel/errors.js';
import type { RoleEvent } from '../worker/port.js';
import { eventRewards, levelRewards, xpOf, type CausedReward } from './grants.js';

export interface Player {
  readonly gameId: string;
  readonly playerId: string;
}

export interface PlayerProgress extends Player {
  readonly totalXp: number;
  /** The level of totalXp by `definition`. */
  readonly level: number;
  /** Greatest ts counted, UTC ms. */
  readonly updatedAtMs: number;
  /** The greatest version among the events counted; null before the first. */
  readonly definition: GameDefinition | null;
}

/** What one event added. */
export interface LedgerRow {
  readonly event: AdmittedEvent;
  readonly deltaXp: number;
}

/** A reward that a player gets now, for good. */
export interface Grant extends CausedReward {
  /** The event whose arrival made it due. */
  readonly event: AdmittedEvent;
  /** The version whose rule granted it. */
  readonly definitionVersion: number;
}

export interface ProgressionState {
  /** By playerRef; every player of the events. */
  readonly players: ReadonlyMap<string, PlayerProgress>;
  /** grantRef of every grant that stands and that these events could make again. */
  readonly granted: ReadonlySet<string>;
}

export interface ProgressionChanges {
  readonly players: ReadonlyMap<string, PlayerProgress>;
  readonly ledger: readonly LedgerRow[];
  readonly grants: readonly Grant[];
}

/** U+0000 cannot stand in any text of an event, so it separates. */
export const playerRef = ({ gameId, playerId }: Player): string => `${gameId}\u0000${playerId}`;
export const grantRef = (player: Player, grantKey: string): string => `${playerRef(player)}\u0000${grantKey}`;

export const newcomer = ({ gameId, playerId }: Player): PlayerProgress => ({
  gameId,
  playerId,
  totalXp: 0,
  level: 1,
  updatedAtMs: 0,
  definition: null,
});

/**
 * Counts events in the order of their delivery. Totals, level, version, time, and the key, reward and amount of each grant
 * come out the same in any order and in any split into batches, under one definition version. Which event crossed
 * a level's threshold is a matter of order: it is the one named in the grant (docs/adr/0006-receipts.md).
 *
 * @throws PoisonError `bad_payload`; `xp_overflow` when the total would leave the safe integers
 */
export function foldProgression(state: ProgressionState, events: readonly RoleEvent[]): ProgressionChanges {
  const players = new Map<string, PlayerProgress>();
  const ledger: LedgerRow[] = [];
  const grants = new Map<string, Grant>();
  for (const { event, definition } of events) {
    const ref = playerRef(event);
    const before = players.get(ref) ?? state.players.get(ref);
    if (before === undefined) throw new Error('a player was not loaded');
    const deltaXp = xpOf(event, definition);
    const after = advance(before, event, definition, deltaXp ?? 0);
    players.set(ref, after);
    if (deltaXp !== null) ledger.push({ event, deltaXp });
    for (const grant of dueGrants(before, after, event, definition)) {
      const key = grantRef(event, grant.grantKey);
      if (!state.granted.has(key) && !grants.has(key)) grants.set(key, grant);
    }
  }
  return { players, ledger, grants: [...grants.values()] };
}

/**
 * The level follows the greatest version counted, so a late event of an older version cannot bring an old curve back. A new
 * curve may lift or lower a level; what was granted stays granted.
 */
function advance(
  before: PlayerProgress,
  event: AdmittedEvent,
  eventDefinition: GameDefinition,
  deltaXp: number,
): PlayerProgress {
  const totalXp = before.totalXp + deltaXp;
  if (!Number.isSafeInteger(totalXp)) throw new PoisonError('xp_overflow', 'the total XP would pass 2^53');
  const isNewer = before.definition === null || eventDefinition.version > before.definition.version;
  const definition = isNewer ? eventDefinition : before.definition;
  return {
    gameId: before.gameId,
    playerId: before.playerId,
    totalXp,
    level: definition.levels?.levelOf(totalXp) ?? 1,
    updatedAtMs: Math.max(before.updatedAtMs, event.tsMs),
    definition,
  };
}

function dueGrants(
  before: PlayerProgress,
  after: PlayerProgress,
  event: AdmittedEvent,
  eventDefinition: GameDefinition,
): Grant[] {
  const levelDefinition = after.definition ?? eventDefinition;
  const forLevels = levelRewards(levelDefinition, before.level, after.level);
  const forEvent = eventRewards(event, eventDefinition);
  return [
    ...forLevels.map((reward) => ({ ...reward, event, definitionVersion: levelDefinition.version })),
    ...forEvent.map((reward) => ({ ...reward, event, definitionVersion: eventDefinition.version })),
  ];
}
