import { DEDUPE_FLOOR, GAMES, VERSION_NUMBERS } from '../game.js';
import { START_MS } from '../world.js';
import { keyText } from './meaning.js';
import type { StoreServer } from './server.js';

const CREATED_BEFORE_MS = 60_000;

/** What stands in a store before anything happens: the games, and the versions of their definitions. */
export function seedGames(store: StoreServer): void {
  for (const game_id of GAMES) {
    const created_at = START_MS - CREATED_BEFORE_MS;
    store.seedRow('games', game_id, { game_id, dedupe_floor: DEDUPE_FLOOR, created_at });
    for (const version of VERSION_NUMBERS)
      store.seedRow('game_definitions', keyText(game_id, version), { game_id, version });
  }
}
