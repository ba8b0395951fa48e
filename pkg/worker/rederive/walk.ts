import type { Sql } from '../../postgres/port.js';
import type { RoleEvent, SharedRederivation } from '../port.js';
import { roleEventOf, type Lately, type LatelyParts } from './lately.js';
import { profiledEvents, walkArchive, type WalkedRow, type WalkPlace } from './shared.postgres.js';

/** How far a walk through the archive of a game is. */
export interface Walked {
  readonly events: number;
  readonly playerId: string;
}

export interface WalkParts extends LatelyParts {
  readonly rederivation: Pick<SharedRederivation<never>, 'role' | 'takes' | 'count'>;
  readonly onProgress?: (walked: Walked) => void;
}

const PAGE_EVENTS = 2_000;
/** The identities of one player are remembered, so that an event that is archived twice is found. */
const PLAYER_EVENTS_MAX = 200_000;
const BEFORE_ALL: WalkPlace = { playerId: '', tsMs: -1, identity: '00000000-0000-0000-0000-000000000000' };

/**
 * Counts all events of a game that the role settled up to an instant, in one snapshot, page by page.
 *
 * @param lately is told of those that were settled later
 * @returns why the archive cannot be counted from; null: it was
 */
export async function countArchive(
  sql: Sql,
  throughMs: number,
  lately: Lately,
  parts: WalkParts,
): Promise<string | null> {
  const { gameId, rederivation, onProgress } = parts;
  const seen = new Set<string>();
  let player = '';
  let events = 0;
  let after = BEFORE_ALL;
  for (;;) {
    const page = await walkArchive(sql, rederivation.role, gameId, throughMs, after, PAGE_EVENTS);
    const last = page.at(-1);
    if (last === undefined) break;
    const counted: RoleEvent[] = [];
    for (const row of page) {
      if (row.playerId !== player) seen.clear();
      player = row.playerId;
      const why = unfitness(row, seen) ?? (await unknowable(row, parts));
      if (why !== null) return why;
      seen.add(row.identity + row.dedupeDay);
      const { enteredUnder, isPast } = row;
      if (enteredUnder === null || enteredUnder === 0) continue;
      if (isPast)
        counted.push(...[await roleEventOf(row, enteredUnder, parts)].filter((one) => one !== null));
      else await lately.meet(row, enteredUnder);
    }
    rederivation.count(counted);
    events += page.length;
    after = last;
    onProgress?.({ events, playerId: player });
  }
  const profiled = await profiledEvents(sql, gameId);
  if (profiled === events) return null;
  return `the archive has ${String(events)} events, the profiles count ${String(profiled)}: events may be lost`;
}

function unfitness(row: WalkedRow, seen: ReadonlySet<string>): string | null {
  const { id, playerId, identity, dedupeDay, enteredUnder, isSameContent } = row;
  if (seen.size >= PLAYER_EVENTS_MAX)
    return `player ${playerId} has more than ${String(PLAYER_EVENTS_MAX)} events`;
  if (seen.has(identity + dedupeDay)) return `event ${id} of ${playerId} is archived twice`;
  if (!isSameContent && enteredUnder !== 0)
    return `event ${id} of ${playerId} took effect with other content than is archived`;
  return null;
}

/** An event whose row in the inbox may be gone for good, if the role has work for its type. */
async function unknowable(row: WalkedRow, parts: WalkParts): Promise<string | null> {
  if (!row.isBelowFloor || row.enteredUnder !== null) return null;
  if ((await roleEventOf(row, row.definitionVersion, parts)) === null) return null;
  return `whether event ${row.id} of ${row.playerId} took effect is not known any more`;
}
