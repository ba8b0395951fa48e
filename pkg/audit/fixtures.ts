import { generateKeyPairSync } from 'node:crypto';
import { archiveRole } from '../archive/role.js';
import type { BatchHandler, Delivery } from '../bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../contract/event.js';
import { rerun } from '../fairness/rerun.js';
import { fairnessRole } from '../fairness/role.js';
import { parseDefinition } from '../games/definition-file.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import type { RoleName } from '../kernel/roles.js';
import { leaderboardRole } from '../leaderboard/role.js';
import { createReceiptSigner } from '../progression/receipt-signer.js';
import { createProgressionRole } from '../progression/role.js';
import type { Database, Sql } from '../postgres/port.js';
import { admittedEvent } from '../testkit/admitted-event.js';
import { quietLogger, quietMetrics } from '../testkit/quiet.js';
import { createDeadLetters } from '../worker/dead-letters/postgres.js';
import { createDispatch } from '../worker/dispatch.js';
import type { Role } from '../worker/port.js';
import type { AuditDeps } from './audit.js';

const SOURCE = `
events:
  progression:
    from: any
    payload:
      required: [deltaXp, guild]
      properties:
        deltaXp: { type: integer, minimum: 0, maximum: 1000000 }
        guild: { type: string, minLength: 1, maxLength: 32 }
  boss_kill:
    from: any
    payload:
      required: [bossId, durationMs]
      properties:
        bossId: { type: string, minLength: 1, maxLength: 64 }
        durationMs: { type: integer, minimum: 1, maximum: 86400000 }
  chat:
    from: any
    payload: {}
levels: { event: progression, xp: deltaXp, curve: { sqrt: { divisor: 100 } }, max: 100, rewards: [{ item: coins, amount: { perLevel: 100 } }] }
rewards:
  - { event: boss_kill, once: 'boss:{bossId}:{item}', item: trophy, amount: 1 }
boards:
  xp: { event: progression, aggregate: sum, value: deltaXp, windows: [daily, all-time] }
  best-gain: { event: progression, aggregate: best, value: deltaXp, windows: [all-time] }
  last-gain: { event: progression, aggregate: last, value: deltaXp, windows: [all-time] }
  guilds: { event: progression, aggregate: sum, value: deltaXp, subject: guild, windows: [all-time] }
  boss-time: { event: boss_kill, aggregate: min, value: durationMs, partition: bossId, windows: [weekly] }
fairness:
  xp-gain: { event: progression, value: deltaXp, side: high, minSamples: 5, maxZ: 3, transform: log }
  kill-interval: { event: boss_kill, secondsSincePrevious: true, side: low, minSamples: 5, maxZ: 3 }
`;

/** The second version knows a type that the first does not, and ranks it. */
const SECOND_SOURCE = SOURCE.replace(
  '  chat:\n',
  '  unheard_of:\n    from: any\n    payload: {}\n  chat:\n',
).replace('boards:\n', 'boards:\n  unheard: { event: unheard_of, aggregate: sum, windows: [all-time] }\n');

export const definition = parseDefinition(SOURCE, { gameId: 'demo', version: 1 });
const second = parseDefinition(SECOND_SOURCE, { gameId: 'demo', version: 2 });
export const definitions = {
  inForce: async () => definition,
  version: async (_: string, version: number) => (version === 2 ? second : definition),
};

const { privateKey } = generateKeyPairSync('ed25519');
export const signer = createReceiptSigner({
  issuer: 'fairtally',
  keys: { current: async () => ({ kid: 'k-1', privateKey }) },
});

const leaderboard = leaderboardRole({ refresh: async () => undefined });
const progression = createProgressionRole({ definitions, signer });
const RULES = {
  archive: archiveRole.takes,
  progression: progression.takes,
  leaderboard: leaderboard.takes,
  fairness: fairnessRole.takes,
};

export const auditParts: Omit<AuditDeps, 'db'> = {
  definitions,
  clock: { sleep: async () => undefined },
  takes: (role, under, type) => RULES[role](under, type, under.eventTypes.has(type)),
  rerun,
};

const START_MS = Date.UTC(2026, 10, 20);
const MINUTE_MS = 60_000;

/** A few minutes of three players: gains (one of them far too great), kills, a type nobody ranks, one nobody knows. */
export function playedEvents(): AdmittedEvent[] {
  const events: AdmittedEvent[] = [];
  for (const playerId of ['p-1', 'p-2', 'p-3']) {
    for (let n = 0; n < 12; n += 1) {
      const tsMs = START_MS + n * MINUTE_MS;
      const deltaXp = playerId === 'p-3' && n === 10 ? 900_000 : 100 + ((n * 7) % 13);
      const name = `${playerId}-${String(n)}`;
      const of = (type: string, payload: AdmittedEvent['payload'], offsetMs: number): AdmittedEvent =>
        admittedEvent({
          id: `${type}-${name}`,
          playerId,
          type,
          tsMs: tsMs + offsetMs,
          payload,
          mapped: definition.eventTypes.has(type),
        });
      events.push(of('progression', { deltaXp, guild: n % 2 === 0 ? 'red' : 'blue' }, 0));
      events.push(
        of('boss_kill', { bossId: n % 3 === 0 ? 'hydra' : 'wyrm', durationMs: 5_000 + n }, n * n * 10),
      );
      if (n < 2) events.push(of('chat', {}, 20), of('unheard_of', { a: 1 }, 30));
    }
  }
  return events;
}

/** Runs the real roles over events, as workers do. @returns what each role said of each event: `ok` or the reason */
export async function applyToRoles(db: Database, events: readonly AdmittedEvent[]): Promise<string[][]> {
  const said: string[][] = [];
  for (const handle of Object.values(handlersOf(db))) {
    const outcomes = await handle(events.map(deliveryOf));
    said.push(outcomes.map((outcome) => (outcome.kind === 'dead' ? outcome.reason : outcome.kind)));
  }
  return said;
}

export const applyToArchive = async (db: Database, events: readonly AdmittedEvent[]): Promise<void> => {
  await handlerOf(db, archiveRole)(events.map(deliveryOf));
};

export const handlersOf = (db: Database): Record<RoleName, BatchHandler> => ({
  archive: handlerOf(db, archiveRole),
  progression: handlerOf(db, progression),
  leaderboard: handlerOf(db, leaderboard),
  fairness: handlerOf(db, fairnessRole),
});

const handlerOf = <State, Changes>(db: Database, role: Role<State, Changes>): BatchHandler =>
  createDispatch({
    db,
    role,
    definitions,
    deadLetters: createDeadLetters({ db, codeVersion: 'test' }),
    clock: systemClock,
    random: systemRandom,
    metrics: quietMetrics,
    logger: quietLogger,
  });

export const deliveryOf = (event: AdmittedEvent, index: number): Delivery => ({
  body: encodeEvent(event),
  headers: {},
  messageId: event.id,
  gameId: event.gameId,
  playerId: event.playerId,
  position: `0/${String(index)}`,
  attempt: 1,
});

/** The game and its versions; `playedEvents` were admitted under the first. */
export async function prepareGame(db: Database): Promise<void> {
  await db.query(
    "INSERT INTO games (game_id, dedupe_floor, session_master_id, session_master) VALUES ('demo', '2026-01-01', 'm1', '')",
  );
  await db.query(
    `INSERT INTO game_definitions (game_id, version, effective_from, source, source_sha256, applied_by)
     VALUES ('demo', 1, 'epoch', $1, '', 'test'), ('demo', 2, '2100-01-01', $2, '', 'test')`,
    [SOURCE, SECOND_SOURCE],
  );
}

class Undone extends Error {}

/** Lends the database inside a transaction that is then rolled back: what is broken in it is whole again afterwards. */
export async function undone<T>(db: Database, work: (inside: Database) => Promise<T>): Promise<T> {
  let result: { readonly value: T } | null = null;
  const inside = (sql: Sql): Database => ({
    query: sql.query,
    transaction: (inner) => inner(sql),
    close: async () => undefined,
  });
  try {
    await db.transaction(async (sql) => {
      result = { value: await work(inside(sql)) };
      throw new Undone();
    });
  } catch (error) {
    if (!(error instanceof Undone)) throw error;
  }
  return (result as unknown as { readonly value: T }).value;
}
