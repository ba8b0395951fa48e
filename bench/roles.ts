import { generateKeyPairSync } from 'node:crypto';
import type { BatchHandler, Delivery } from '../pkg/bus/port.js';
import { archiveRole } from '../pkg/archive/role.js';
import { fairnessRole } from '../pkg/fairness/role.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { systemRandom as random } from '../pkg/kernel/random.js';
import { redisBoardView } from '../pkg/leaderboard/redis.js';
import { leaderboardRole } from '../pkg/leaderboard/role.js';
import { postgresBoardTruth } from '../pkg/leaderboard/truth.postgres.js';
import { BoardView } from '../pkg/leaderboard/view.js';
import type { Database } from '../pkg/postgres/port.js';
import { createReceiptSigner } from '../pkg/progression/receipt-signer.js';
import { createProgressionRole } from '../pkg/progression/role.js';
import { createRedisClient, redisReady } from '../pkg/redis/client.js';
import { quietLogger as logger, quietMetrics as metrics } from '../pkg/testkit/quiet.js';
import { createDeadLetters } from '../pkg/worker/dead-letters/postgres.js';
import { createDispatch } from '../pkg/worker/dispatch.js';
import type { Role, RoleEvent } from '../pkg/worker/port.js';
import type { Bench } from './bench.js';
import { median, perSecond, type Figure } from './figure.js';
import {
  archiveRows,
  boardRows,
  fairnessRows,
  inboxRows,
  progressionRows,
  writeRaw,
  type RawTable,
} from './raw-rows.js';
import { sampleDefinition, seasonBatches } from './season.js';
import { freshDatabase } from './servers.js';

const BATCH = 500;
const ROUNDS = 3;
/** A slow machine does fewer batches of the season, the same ones on both sides. */
const ROUND_MAX_MS = 7_000;
const WRITTEN = `inbox, events, role_counters, player_profiles, player_progress, progress_events, receipts, board_scores,
  board_cycles, fairness_baselines, fairness_samples, suspicious_events, dead_letters`;

/** Each role on one connection, fed with the sample season, against a raw upsert of the rows it wrote. */
export async function roles(bench: Bench): Promise<readonly Figure[]> {
  const { postgres, redis } = await bench.servers();
  const { db, close } = await freshDatabase(postgres, 1);
  const client = redis === null ? null : createRedisClient({ url: redis.url });
  if (client !== null) await redisReady(client, 5_000);
  try {
    await db.query(
      `INSERT INTO games (game_id, dedupe_floor, session_master_id, session_master) VALUES ('demo', '1970-01-01', 'm1', '')`,
    );
    const definition = sampleDefinition();
    const definitions = { inForce: async () => definition, version: async () => definition };
    const season = seasonBatches(definition, BATCH);
    const { privateKey } = generateKeyPairSync('ed25519');
    const keys = { current: async () => ({ kid: 'bench', privateKey }) };
    const signer = createReceiptSigner({ issuer: 'fairtally', keys });
    const truth = postgresBoardTruth(db);
    const view = (store: ConstructorParameters<typeof BoardView>[0]['store']): BoardView =>
      new BoardView({ truth, store, definitions, clock, log: logger });
    const bare = <State, Changes>(
      role: Role<State, Changes>,
      rowsOf: (changes: Changes) => RawTable[],
      name: string = role.name,
    ): Promise<Figure> => measure({ bench, db, definitions, season }, role, rowsOf, name);
    const figures = [
      await bare(archiveRole, archiveRows),
      await bare(createProgressionRole({ definitions, signer }), progressionRows),
      await bare(leaderboardRole(view(null)), boardRows),
      await bare(fairnessRole, fairnessRows),
    ];
    if (client !== null) {
      const seen = leaderboardRole(view(redisBoardView(client, logger, () => 'life')));
      const { goal: _, ...figure } = await bare(seen, boardRows, 'leaderboard and its Redis view');
      figures.push({ ...figure, goal: null, note: 'the view is no part of the limit' });
    }
    return figures;
  } finally {
    client?.disconnect();
    await close();
  }
}

interface Setting {
  readonly bench: Bench;
  readonly db: Database;
  readonly definitions: Parameters<typeof createDispatch>[0]['definitions'];
  readonly season: readonly (readonly Delivery[])[];
}

async function measure<State, Changes>(
  { bench, db, definitions, season }: Setting,
  role: Role<State, Changes>,
  rowsOf: (changes: Changes) => RawTable[],
  name: string,
): Promise<Figure> {
  const handlerOf = <S, C>(any: Role<S, C>): BatchHandler =>
    createDispatch({
      db,
      role: any,
      definitions,
      deadLetters: createDeadLetters({ db, codeVersion: 'bench' }),
      clock,
      random,
      metrics,
      logger,
    });
  const recorded: RawTable[][] = [];
  await empty(db);
  const batches = season.slice(0, (await pass(season, handlerOf(recording(role, rowsOf, recorded)))).batches);
  const [ours, raw]: [number[], number[]] = [[], []];
  for (let round = 1; round <= ROUNDS; round += 1) {
    await empty(db);
    ours.push((await pass(batches, handlerOf(role))).seconds);
    await empty(db);
    raw.push(await rawPass(db, recorded.slice(0, batches.length)));
    const ratio = ((raw.at(-1) ?? NaN) / (ours.at(-1) ?? NaN)).toFixed(2);
    bench.tell(`role ${name}: round ${String(round)} of ${String(ROUNDS)}: ${ratio}`);
  }
  const events = batches.flat().length;
  const rows = recorded.flat().reduce((sum, { columns }) => sum + (columns[0]?.[1].length ?? 0), 0);
  return {
    name: `role ${name}`,
    measured: perSecond(events / median(ours), 'events'),
    limit: `raw unnest upsert of the same rows: ${perSecond(events / median(raw), 'events')}`,
    value: median(raw) / median(ours),
    goal: { kind: 'atLeast', value: 0.4, unit: '' },
    note: `${String(batches.length)} batches of ${String(BATCH)}, ${(rows / events).toFixed(1)} rows written per event`,
  };
}

/** The role, with the rows of each batch written down beside it. */
function recording<State, Changes>(
  role: Role<State, Changes>,
  rowsOf: (changes: Changes) => RawTable[],
  recorded: RawTable[][],
): Role<State, Changes> {
  let fresh: readonly RoleEvent[] = [];
  return {
    ...role,
    fold: (state, events) => {
      fresh = events;
      return role.fold(state, events);
    },
    save: (sql, changes) => {
      recorded.push([...inboxRows(role.name, fresh), ...rowsOf(changes)]);
      return role.save(sql, changes);
    },
  };
}

const empty = async (db: Database): Promise<void> => {
  await db.query(`TRUNCATE ${WRITTEN}`);
  await db.query('CHECKPOINT');
};

async function pass(
  batches: readonly (readonly Delivery[])[],
  handler: BatchHandler,
): Promise<{ seconds: number; batches: number }> {
  const beganMs = performance.now();
  let done = 0;
  for (const batch of batches) {
    if (performance.now() - beganMs > ROUND_MAX_MS) break;
    const outcomes = await handler(batch);
    const other = outcomes.find((outcome) => outcome.kind !== 'ok');
    if (other !== undefined) throw new Error(`an event was not settled: ${JSON.stringify(other)}`);
    done += 1;
  }
  return { seconds: (performance.now() - beganMs) / 1000, batches: done };
}

async function rawPass(db: Database, batches: readonly (readonly RawTable[])[]): Promise<number> {
  const beganMs = performance.now();
  for (const tables of batches) await db.transaction((sql) => writeRaw(sql, tables));
  return (performance.now() - beganMs) / 1000;
}
