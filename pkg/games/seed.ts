import { readFileSync } from 'node:fs';
import type { Clock } from '../kernel/clock.js';
import type { DefinitionStore } from './definitions/postgres.js';
import type { KeyStore } from './keys/postgres.js';
import type { GameStore } from './tenants/postgres.js';

/** The game and the key that a first start makes. */
export const DEFAULT_GAME_ID = 'demo';
export const DEFAULT_KEY_ID = 'demo';

/** Nothing is too old for a new game until its retention is configured. */
const FIRST_FLOOR = '1970-01-01';

export interface Seed {
  readonly games: Pick<GameStore, 'create'>;
  readonly definitions: Pick<DefinitionStore, 'apply' | 'list'>;
  readonly keys: Pick<KeyStore, 'create' | 'list'>;
  readonly clock: Clock;
  /** YAML; applied when the game has no definition yet. */
  readonly definitionFile: string;
  /** Of the key `demo`, made when there is none. */
  readonly secret: string;
}

/** What a first start made; all false later. */
export interface Seeded {
  readonly game: boolean;
  readonly definition: boolean;
  readonly key: boolean;
}

/**
 * The game `demo` with a definition and a key that may do everything. What is there already is left alone.
 *
 * @throws DefinitionError when the file is wrong; the file system's error when it cannot be read
 */
export async function ensureGame(seed: Seed): Promise<Seeded> {
  const gameId = DEFAULT_GAME_ID;
  const game = await seed.games.create({ gameId, dedupeFloor: FIRST_FLOOR });
  const hasDefinition = (await seed.definitions.list(gameId)).length > 0;
  if (!hasDefinition) {
    const source = readFileSync(seed.definitionFile, 'utf8');
    await seed.definitions.apply({ gameId, source, fileName: seed.definitionFile, effectiveFromMs: 0, by: 'first start' });
  }
  const hasKey = (await seed.keys.list(gameId)).some((key) => key.keyId === DEFAULT_KEY_ID);
  if (!hasKey) {
    await seed.keys.create({
      gameId,
      keyId: DEFAULT_KEY_ID,
      secret: seed.secret,
      scopes: ['ingest', 'read', 'replay', 'sessions'],
      notBeforeMs: 0,
    });
  }
  return { game, definition: !hasDefinition, key: !hasKey };
}
