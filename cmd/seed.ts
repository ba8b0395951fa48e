import { createDefinitionStore } from '../pkg/games/definitions/postgres.js';
import { createKeyStore } from '../pkg/games/keys/postgres.js';
import { describeSeed, ensureGame } from '../pkg/games/seed.js';
import { createGameStore } from '../pkg/games/tenants/postgres.js';
import type { Clock } from '../pkg/kernel/clock.js';
import type { Random } from '../pkg/kernel/random.js';
import type { Database } from '../pkg/postgres/port.js';
import type { Config } from '../pkg/runtime/config.js';
import type { Sealer } from '../pkg/secrets/port.js';

export interface SeedParts {
  readonly db: Database;
  readonly sealer: Sealer;
  readonly config: Config;
  readonly clock: Clock;
  readonly random: Random;
}

/** Makes sure of the first game, its definition and its first key; answers what it did, in lines for a person. */
export async function seedFirstGame(
  { db, sealer, config, clock, random }: SeedParts,
  { definitionFile, secret }: { readonly definitionFile: string | null; readonly secret: string | null },
): Promise<string[]> {
  const result = await ensureGame({
    games: createGameStore(db, sealer, random),
    definitions: createDefinitionStore(db),
    keys: createKeyStore({ database: db, sealer, random, clock }),
    definitionFile,
    secret,
    mayReplaceSecret: config.secrets.hmacSecret !== null && config.environment !== 'production',
  });
  return describeSeed(result);
}
