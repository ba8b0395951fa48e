import { createHash } from 'node:crypto';

/** Lanes of the postgres bus and of the counters. Fixed: changing it would reorder what is in flight. */
export const LANE_COUNT = 32;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * The lane of a player: the unit of order and of parallel work. FNV-1a (32 bit, over UTF-16 code units, folded once),
 * because it runs for every event and needs spread, not secrecy.
 */
export function laneOf(gameId: string, playerId: string, lanes: number = LANE_COUNT): number {
  let hash = FNV_OFFSET;
  for (const text of [gameId, '\u0000', playerId]) {
    for (let i = 0; i < text.length; i += 1) {
      hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
    }
  }
  hash ^= hash >>> 16;
  return (hash >>> 0) % lanes;
}

/**
 * The key that brokers keep a player's messages in order by: hex SHA-256 of the game id, preceded by its length in bytes so
 * that no two pairs make one text, and the player id. Any broker takes 64 such characters as a key.
 */
export const playerKey = (gameId: string, playerId: string): string =>
  createHash('sha256')
    .update(`${String(Buffer.byteLength(gameId))}:${gameId}${playerId}`)
    .digest('hex');
