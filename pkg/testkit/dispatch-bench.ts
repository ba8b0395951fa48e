import { expect } from '@jest/globals';
import { DEFAULT_MAX_ATTEMPTS, deliver } from '../bus/deliver.js';
import type { BatchHandler, Delivery } from '../bus/port.js';
import { encodeEvent, type AdmittedEvent, type JsonObject } from '../contract/event.js';
import { systemClock } from '../kernel/clock.js';
import type { Outcome } from '../kernel/outcome.js';
import { systemRandom } from '../kernel/random.js';
import type { Database } from '../postgres/port.js';
import type { Metrics } from '../runtime/port.js';
import { admittedEvent } from './admitted-event.js';
import { testDefinition } from './definition.js';
import { quietLogger, quietMetrics } from './quiet.js';
import { createSums, summingRole, type SummingOptions } from './summing-role.js';
import { createDeadLetters } from '../worker/dead-letters/postgres.js';
import { createDispatch } from '../worker/dispatch.js';

/** What tests of dispatch share: a worker of the summing role, events for it, and what it left in the tables. */

const definition = testDefinition();
export const definitions = { inForce: async () => definition, version: async () => definition };

export const prepare = async (db: Database): Promise<void> => {
  await db.query(
    "INSERT INTO games (game_id, dedupe_floor, session_master_id, session_master) VALUES ('demo', '2026-01-01', 'm1', '')",
  );
  await createSums(db);
};

interface WorkerOptions extends SummingOptions {
  readonly metrics?: Metrics;
}

export const worker = (
  db: Database,
  { metrics = quietMetrics, ...summing }: WorkerOptions = {},
): BatchHandler =>
  createDispatch({
    db,
    role: summingRole(summing),
    definitions,
    deadLetters: createDeadLetters({ db, codeVersion: 'test' }),
    clock: systemClock,
    random: systemRandom,
    metrics,
    logger: quietLogger,
  });

export const xp = (id: string, playerId: string, deltaXp: number, more: JsonObject = {}): AdmittedEvent =>
  admittedEvent({ id, playerId, payload: { deltaXp, activity: 'quest', ...more } });

let place = 0;
export const deliveryOf = (event: AdmittedEvent | string): Delivery => {
  place += 1;
  const [gameId, playerId] = typeof event === 'string' ? ['demo', 'p-1'] : [event.gameId, event.playerId];
  const body = typeof event === 'string' ? event : encodeEvent(event);
  return {
    body,
    headers: {},
    messageId: String(place),
    gameId,
    playerId,
    position: `0/${String(place)}`,
    attempt: 1,
  };
};
export const batchOf = (events: readonly (AdmittedEvent | string)[]): Delivery[] => events.map(deliveryOf);
export const said = (outcomes: readonly Outcome[]): string[] =>
  outcomes.map((outcome) => (outcome.kind === 'dead' ? outcome.reason : outcome.kind));

/** As a bus does it: retries and dead letters included. Tells what may be acknowledged. */
export const deliverAll = (
  db: Database,
  handler: BatchHandler,
  batch: readonly Delivery[],
): Promise<readonly boolean[]> =>
  deliver(batch, handler, {
    role: 'progression',
    maxAttempts: DEFAULT_MAX_ATTEMPTS,
    backoff: { baseMs: 1, capMs: 4 },
    deadLetters: createDeadLetters({ db, codeVersion: 'test' }),
    clock: systemClock,
    random: systemRandom,
    logger: quietLogger,
    signal: new AbortController().signal,
  });

/** Hands events over as a bus does, all of them to their end. */
export async function drive(
  db: Database,
  handler: BatchHandler,
  events: readonly (AdmittedEvent | string)[],
): Promise<void> {
  expect(await deliverAll(db, handler, batchOf(events))).not.toContain(false);
}

interface Counters {
  readonly delivered: number;
  readonly applied: number;
  readonly duplicate: number;
  readonly conflict: number;
  readonly dead: number;
}

export async function countersOf(db: Database): Promise<Counters> {
  const [row] = await db.query<Counters>(
    `SELECT coalesce(sum(delivered), 0) AS delivered, coalesce(sum(applied), 0) AS applied,
            coalesce(sum(duplicate), 0) AS duplicate, coalesce(sum(conflict), 0) AS conflict, coalesce(sum(dead), 0) AS dead
       FROM role_counters WHERE role = 'progression'`,
  );
  if (row === undefined) throw new Error('no counters');
  expect(row.delivered).toBe(row.applied + row.duplicate + row.conflict + row.dead);
  return row;
}

interface LetterRow {
  readonly reason: string;
  readonly state: string;
  readonly attempts: number;
  readonly event: string | null;
}

export const lettersOf = (db: Database): Promise<LetterRow[]> =>
  db.query(
    `SELECT reason, state, attempts, CASE WHEN identity IS NULL THEN NULL ELSE body::jsonb ->> 'id' END AS event
       FROM dead_letters ORDER BY id`,
  );

export function countingMetrics(): { readonly metrics: Metrics; of(name: string): number } {
  const counts = new Map<string, number>();
  const inc =
    (name: string) =>
    (_?: object, by = 1) =>
      void counts.set(name, (counts.get(name) ?? 0) + by);
  return {
    metrics: { ...quietMetrics, counter: (name) => ({ inc: inc(name) }) },
    of: (name) => counts.get(name) ?? 0,
  };
}
