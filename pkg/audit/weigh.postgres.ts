import type { Sql } from '../postgres/port.js';

/** What the archive has of a player; of one that is beyond the limits no more is counted than tells so. */
export interface Weight {
  readonly playerId: string;
  readonly events: number;
  /** Of the payloads as text. */
  readonly bytes: number;
}

/** What is recounted at once: whoever has more is left to people, whatever the machine could do. */
export const PLAYER_EVENTS_MAX = 200_000;
export const PLAYER_BYTES_MAX = 64 * 1024 * 1024;
/** Light players are read together. */
const TOGETHER = { events: 20_000, bytes: 16 * 1024 * 1024 };

const WEIGH = `
  SELECT wanted.player_id AS "playerId", w.events, w.bytes
    FROM unnest($2::text[]) AS wanted (player_id)
   CROSS JOIN LATERAL (
     SELECT count(*) AS events, coalesce(sum(octet_length(next.payload::text)), 0) AS bytes
       FROM (SELECT e.payload FROM events e WHERE e.game_id = $1 AND e.player_id = wanted.player_id LIMIT $3) AS next
   ) AS w`;

/** Weighs players before anything of them is read: what a profile counts may be what is wrong. */
export const weigh = (sql: Sql, gameId: string, players: readonly string[]): Promise<Weight[]> =>
  sql.query<Weight>(WEIGH, [gameId, players, PLAYER_EVENTS_MAX + 1]);

/** Why a player is not read; null: it is. */
export function tooHeavy({ events, bytes }: Weight): string | null {
  if (events > PLAYER_EVENTS_MAX) return `the player has more than ${String(PLAYER_EVENTS_MAX)} events`;
  if (bytes > PLAYER_BYTES_MAX)
    return `the player's events have more than ${String(PLAYER_BYTES_MAX / 1024 / 1024)} MiB of payloads`;
  return null;
}

export interface Loads {
  /** Players to be read together, in the order given. */
  readonly pages: readonly (readonly string[])[];
  /** Who is too heavy, with the reason. */
  readonly left: ReadonlyMap<string, string>;
}

/** Shares players out so that what is read at once is bounded, whatever some of them have. */
export function loadsOf(weights: readonly Weight[]): Loads {
  const pages: string[][] = [];
  const left = new Map<string, string>();
  let room = { events: -1, bytes: -1 };
  for (const weight of weights) {
    const why = tooHeavy(weight);
    if (why !== null) {
      left.set(weight.playerId, why);
      continue;
    }
    if (weight.events > room.events || weight.bytes > room.bytes) {
      pages.push([]);
      room = { ...TOGETHER };
    }
    pages.at(-1)?.push(weight.playerId);
    room = { events: room.events - weight.events, bytes: room.bytes - weight.bytes };
  }
  return { pages, left };
}
