import { parseDefinition } from '../../games/definition-file.js';
import type { DefinitionSource, Game, GameDefinition, KeyRing, SigningKey } from '../../games/port.js';
import type { SimNode } from './node.js';
import { START_MS } from './world.js';

export const GRACE_MS = 10_000;
export const GAMES = ['demo', 'rival'] as const;

/** When the day turns, and the launch season ends by the first version. */
export const ROLLOVER_MS = Date.UTC(2026, 10, 21);
/** When the launch season ends by the second version, which is in force long before. */
export const LAUNCH_ENDS_MS = ROLLOVER_MS + 20_000;
export const WINTER_FROM_MS = ROLLOVER_MS + 60_000;

const EVENTS = `
unknownTypes: store
grace: 10s
events:
  progression:
    from: any
    payload:
      required: [deltaXp, activity]
      properties:
        deltaXp: { type: integer, minimum: 0, maximum: 1000000 }
        activity: { type: string, minLength: 1, maxLength: 64 }
  boss_kill:
    from: any
    payload:
      required: [bossId, durationMs, guild]
      properties:
        bossId: { type: string, minLength: 1, maxLength: 64 }
        guild: { type: string, minLength: 1, maxLength: 64 }
        durationMs: { type: integer, minimum: 1, maximum: 86400000 }
  drop_claimed:
    from: any
    payload:
      required: [dropId, itemId]
      properties:
        dropId: { type: string, minLength: 1, maxLength: 64 }
        itemId: { type: string, minLength: 1, maxLength: 64 }
        quantity: { type: integer, minimum: 1, maximum: 1000 }
rewards:
  - { event: boss_kill, once: "boss:{bossId}:{item}", item: trophy }
  - event: drop_claimed
    once: drop:{dropId}
    item: { field: itemId }
    amount: { field: quantity, otherwise: 1 }
fairness:
  xp-gain: { event: progression, value: deltaXp, transform: log, side: high, minSamples: 3, maxZ: 2 }
  boss-speed: { event: boss_kill, value: durationMs, partition: bossId, side: both, minSamples: 2, maxZ: 1.5 }
  xp-interval: { event: progression, secondsSincePrevious: true, side: low, minSamples: 2, maxZ: 1 }
`;

const BOARDS = `
boards:
  xp: { event: progression, aggregate: sum, value: deltaXp, windows: [daily, weekly, seasonal, all-time] }
  boss-time: { event: boss_kill, aggregate: min, value: durationMs, partition: bossId, windows: [daily, all-time] }
  longest: { event: boss_kill, aggregate: best, value: durationMs, windows: [seasonal] }
  latest: { event: progression, aggregate: last, value: deltaXp, windows: [daily] }
  guilds: { event: boss_kill, aggregate: sum, value: durationMs, subject: guild, windows: [all-time] }
`;

const levels = (divisor: number): string => `
levels:
  event: progression
  xp: deltaXp
  curve: { sqrt: { divisor: ${String(divisor)} } }
  max: 30
  rewards: [{ item: coins, amount: { perLevel: 100 } }]
`;

const seasons = (launchEnds: string): string => `
seasons:
  launch: { from: 2026-11-01T00:00:00Z, to: ${launchEnds} }
  winter: { from: 2026-11-21T00:01:00Z, to: 2027-03-01T00:00:00Z }
`;

/** The second version has another curve and a longer launch season, and one board more. */
const VERSIONS = [
  EVENTS + BOARDS + levels(100) + seasons('2026-11-21T00:00:00Z'),
  `${EVENTS + BOARDS}  kills: { event: boss_kill, aggregate: sum, windows: [weekly] }\n` +
    levels(60) +
    seasons('2026-11-21T00:00:20Z'),
];

/** The second version is in force from then on. */
const SECOND_FROM_MS = START_MS + 20_000;

const definitions = new Map(
  GAMES.map((gameId) => [
    gameId as string,
    VERSIONS.map((source, i) => parseDefinition(source, { gameId, version: i + 1 })),
  ]),
);

/** The numbers of the versions that each game has. */
export const VERSION_NUMBERS: readonly number[] = VERSIONS.map((_, i) => i + 1);

export function definitionOf(gameId: string, version: number): GameDefinition {
  const definition = definitions.get(gameId)?.[version - 1];
  if (definition === undefined) throw new Error(`there is no version ${String(version)} of ${gameId}`);
  return definition;
}

const LEARNS_LATE_MS = 2_000;

/** Definitions as a process knows them: each learns of a new version a little later than the others. */
export function definitionsOf(node: SimNode): DefinitionSource {
  const lateMs = node.world.chance.between(0, LEARNS_LATE_MS);
  return {
    inForce: async (gameId, nowMs) => {
      if (!definitions.has(gameId)) return null;
      return definitionOf(gameId, nowMs >= SECOND_FROM_MS + lateMs ? 2 : 1);
    },
    version: async (gameId, version) => definitionOf(gameId, version),
  };
}

const DAY_MS = 86_400_000;
export const DEDUPE_FLOOR = '2026-11-01';

const gameOf = (gameId: string): Game => ({
  gameId,
  dedupeFloor: DEDUPE_FLOOR,
  acceptancePastMs: 7 * DAY_MS,
  acceptanceAheadMs: 300_000,
  sessionMasterId: 'm1',
  sessionMaster: Buffer.alloc(32, 7),
});
const games = new Map<string, Game>(GAMES.map((gameId) => [gameId, gameOf(gameId)]));

/** What no log may ever show. */
export const SECRETS_BEGIN = 'secret-of-';
export const secretOf = (keyId: string): string => `${SECRETS_BEGIN}${keyId}-which-no-log-may-show`;

const keys = new Map<string, SigningKey>(
  GAMES.flatMap((gameId) =>
    [`${gameId}-1`, `${gameId}-2`].map((keyId) => [
      keyId,
      {
        ...{ keyId, gameId, secret: secretOf(keyId), scopes: new Set(['ingest', 'replay'] as const) },
        ...{ schemes: new Set(['v1'] as const), trust: 'server' as const, debug: false },
        ...{ notBeforeMs: 0, notAfterMs: null, revokedAtMs: null },
      },
    ]),
  ),
);

export const keyRing: KeyRing = {
  key: (keyId) => keys.get(keyId) ?? null,
  game: (gameId) => games.get(gameId) ?? null,
  revocations: () => [],
  revocationsAreKnown: () => true,
  ageMs: () => 0,
};
