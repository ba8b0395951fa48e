import { readFileSync } from 'node:fs';
import { FairtallyError } from '../kernel/errors.js';
import type { DefinitionStore } from './definitions/postgres.js';
import type { KeyStore } from './keys/postgres.js';
import type { GameStore } from './tenants/postgres.js';

/** The game and the key that a new installation begins with. */
export const DEFAULT_GAME_ID = 'demo';
export const DEFAULT_KEY_ID = 'demo';

/** What a game must have to begin with. */
export interface GameSeed {
  readonly games: GameStore;
  readonly definitions: DefinitionStore;
  readonly keys: KeyStore;
  readonly gameId?: string;
  readonly keyId?: string;
  /** Path of the YAML that is applied when the game has no definition; null: none is. */
  readonly definitionFile: string | null;
  /** Secret of the key that is made when it is absent; null: none is. */
  readonly secret: string | null;
  /** Whether a stored key with another secret gets this one: only where a developer has set it, never in production. */
  readonly mayReplaceSecret: boolean;
}

export interface SeedResult {
  readonly gameId: string;
  readonly keyId: string;
  readonly isNewGame: boolean;
  /** The version that was applied now; null: the game has one, or none was given. */
  readonly appliedVersion: number | null;
  /** `different`: the stored key has another secret, and keeps it. */
  readonly key: 'not asked' | 'created' | 'kept' | 'replaced' | 'different';
}

/** Nothing of a demo is too old: recordings of any year can be played into it. */
const DEDUPE_FLOOR = '1970-01-01';

/**
 * Makes sure that a game exists with a definition and a key for everything; changes nothing that stands. Several
 * processes may call it at once.
 *
 * @throws DefinitionError; FairtallyError `invalid_game`, `invalid_key`, `secret_unreadable`; as readFileSync does
 */
export async function ensureGame(seed: GameSeed): Promise<SeedResult> {
  const { gameId = DEFAULT_GAME_ID, keyId = DEFAULT_KEY_ID } = seed;
  const isNewGame = await seed.games.create({ gameId, dedupeFloor: DEDUPE_FLOOR });
  const appliedVersion = await ensureDefinition(gameId, seed);
  return { gameId, keyId, isNewGame, appliedVersion, key: await ensureKey(gameId, keyId, seed) };
}

async function ensureDefinition(
  gameId: string,
  { definitions, definitionFile }: GameSeed,
): Promise<number | null> {
  if (definitionFile === null || (await definitions.list(gameId)).length > 0) return null;
  const application = {
    gameId,
    source: readFileSync(definitionFile, 'utf8'),
    fileName: definitionFile,
    effectiveFromMs: 0, // the first version holds from the beginning of time, whatever the clocks of other machines say
    by: 'first start',
  };
  return unlessDone('definition_unchanged', async () => (await definitions.apply(application)).version);
}

async function ensureKey(gameId: string, keyId: string, seed: GameSeed): Promise<SeedResult['key']> {
  const { keys, secret, mayReplaceSecret } = seed;
  if (secret === null) return 'not asked';
  const key = {
    gameId,
    keyId,
    secret,
    scopes: ['ingest', 'read', 'replay', 'sessions'],
    trust: 'server',
  } as const;
  const isKnown = (await keys.list(gameId)).some((known) => known.keyId === keyId);
  const made = isKnown ? null : await unlessDone('key_exists', () => keys.create(key));
  if (made !== null) return 'created';
  if (await keys.hasSecret(keyId, secret)) return 'kept';
  if (!mayReplaceSecret) return 'different';
  await keys.replaceSecret(keyId, secret);
  return 'replaced';
}

/** null when another process was first. */
async function unlessDone<T>(code: string, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof FairtallyError && error.code === code) return null;
    throw error;
  }
}

/** What happened, in lines for a person; none where nothing did. */
export function describeSeed({ gameId, keyId, isNewGame, appliedVersion, key }: SeedResult): string[] {
  const keyLine = {
    'not asked': null,
    created: `key ${keyId}: created`,
    kept: null,
    replaced: `key ${keyId}: its secret is now the one of HMAC_SECRET; the old one is refused`,
    different: `key ${keyId}: the stored key has another secret than this installation and keeps it; \`fairtally keys rotate ${keyId}\` makes a new key`,
  }[key];
  return [
    isNewGame ? `game ${gameId}: created` : null,
    appliedVersion === null ? null : `game ${gameId}: definition version ${String(appliedVersion)} applied`,
    keyLine,
  ].filter((line) => line !== null);
}
