import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { auditGame } from '../audit/audit.js';
import { takes } from '../../cmd/fairtally/takes.js';
import type { SignedClient } from '../client/signed-client.js';
import { rerun } from '../fairness/rerun.js';
import { createDefinitionSource } from '../games/definitions/postgres.js';
import { systemClock } from '../kernel/clock.js';
import { OutageError } from '../kernel/errors.js';
import { createDatabase } from '../postgres/database.js';
import { migrate } from '../postgres/migrate.js';
import { startPostgresServer, type PostgresServer } from './postgres-server.js';
import { startRedisServer, type RedisServer } from './redis-server.js';
import { startStack, type Stack } from './stack.js';
import type { TestProcess } from './processes.js';

const KILLS = 24;
const PLAYERS = 40;
const CLIENTS = 6;
const XP = 7;

/** Numbers that look random and are the same in each run; which process they meet in what state is up to the machine. */
function dice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

interface Service {
  readonly kill: () => Promise<void>;
}

let postgres: PostgresServer;
let redis: RedisServer;
let stack: Stack;
const urls: string[] = [];
const acknowledged = new Set<string>();
const sent = new Set<string>();
const kills = { gateway: 0, worker: 0, postgres: 0, redis: 0 };

beforeAll(async () => {
  [postgres, redis] = await Promise.all([startPostgresServer({ fsync: true }), startRedisServer()]);
  const db = createDatabase({ url: postgres.url(), poolSize: 4 });
  await migrate(db);
  stack = await startStack({
    redisUrl: redis.url,
    database: { db, url: postgres.url(), close: () => db.close() },
  });
}, 60_000);

afterAll(async () => {
  await stack.close();
  await Promise.all([postgres.stop(), redis.stop()]);
});

/** Each process is a service that comes back: a gateway on its own port, so that its clients find it again. */
async function services(): Promise<Record<keyof typeof kills, Service[]>> {
  const gateways = await Promise.all([stack.startGateway(), stack.startGateway()]);
  for (const gateway of gateways) urls.push(gateway.url);
  const workers = await Promise.all([stack.startWorker(), stack.startWorker()]);
  return {
    gateway: gateways.map((gateway) =>
      revived(gateway.process, async () => (await stack.startGateway(gateway.port)).process),
    ),
    worker: workers.map((worker) => revived(worker, () => stack.startWorker())),
    postgres: [{ kill: () => postgres.kill().then(() => postgres.start()) }],
    redis: [{ kill: () => redis.kill().then(() => redis.start()) }],
  };
}

function revived(first: TestProcess, start: () => Promise<TestProcess>): Service {
  let current = first;
  return {
    kill: async () => {
      current.kill('SIGKILL');
      await current.exited;
      // It may find the database away and give up: an orchestrator would start it again, and so do we.
      for (;;) {
        try {
          current = await start();
          return;
        } catch {
          await systemClock.sleep(100);
        }
      }
    },
  };
}

/** Posts events for as long as told, each three times or more, through any gateway; writes down what was answered 202. */
async function clientLoop(index: number, isOver: () => boolean): Promise<void> {
  const roll = dice(1000 + index);
  const clients = urls.map((url) => stack.client(url));
  const recent: string[] = [];
  for (let n = 0; !isOver(); n += 1) {
    const events = Array.from({ length: 1 + roll(8) }, (_, k) => {
      const id = `c${String(index)}-${String(n)}-${String(k)}`;
      sent.add(id);
      return JSON.stringify({
        id,
        type: 'progression',
        playerId: `p-${String(roll(PLAYERS))}`,
        ts: Date.now(),
        payload: { deltaXp: XP, activity: 'crash' },
      });
    });
    recent.push(...events);
    const again = Array.from(
      { length: Math.min(recent.length, 2 * events.length) },
      () => recent[roll(recent.length)] ?? '',
    );
    await postUntilAnswered(clients, [...new Set([...events, ...again])], roll);
    if (recent.length > 400) recent.splice(0, 200);
  }
  for (const client of clients) client.close();
}

async function postUntilAnswered(
  clients: readonly SignedClient[],
  lines: readonly string[],
  roll: (sides: number) => number,
): Promise<void> {
  const body = lines.join('\n');
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const answer = await (clients[roll(clients.length)] as SignedClient)
      .send('POST', '/v1/events/batch', { body, contentType: 'application/x-ndjson' })
      .catch((error: unknown) => {
        if (error instanceof OutageError) return null;
        throw error;
      });
    if (answer?.status === 202) {
      const { results } = JSON.parse(answer.text) as {
        results: { status: string; eventId: string; code?: string }[];
      };
      for (const result of results) {
        if (result.status === 'rejected') throw new Error(`a good event was refused: ${String(result.code)}`);
        acknowledged.add(result.eventId);
      }
      return;
    }
    if (answer !== null && answer.status < 500) throw new Error(`${String(answer.status)} ${answer.text}`);
    await systemClock.sleep(20 + roll(100));
  }
  throw new Error('no answer in 400 attempts');
}

describe(`${String(KILLS)} SIGKILLs of gateways, workers, PostgreSQL and Redis under load`, () => {
  test('rows 33, 34: nothing acknowledged is lost and nothing counts twice', async () => {
    const all = await services();
    let isOver = false;
    const load = Promise.all(Array.from({ length: CLIENTS }, (_, index) => clientLoop(index, () => isOver)));
    const roll = dice(42);
    const order: (keyof typeof kills)[] = [
      'gateway',
      'worker',
      'worker',
      'gateway',
      'postgres',
      'worker',
      'gateway',
      'redis',
    ];
    const killing = async (): Promise<void> => {
      for (let n = 0; n < KILLS; n += 1) {
        await systemClock.sleep(150 + roll(350));
        const kind = order[n % order.length] ?? 'worker';
        const targets = all[kind];
        await targets[roll(targets.length)]?.kill();
        kills[kind] += 1;
      }
    };
    // Both are awaited, so that the failure of one is not followed by the other's into the next test.
    await Promise.all([killing().finally(() => (isOver = true)), load]);
    await stack.drained(60_000);
    expect(Object.values(kills).reduce((a, b) => a + b)).toBe(KILLS);
    expect(acknowledged.size).toBeGreaterThan(500);

    const archived = await stack.db.query<{ event_id: string; copies: number }>(
      'SELECT event_id, count(*) AS copies FROM events GROUP BY event_id',
    );
    const ids = new Set(archived.map((row) => row.event_id));
    expect([...acknowledged].filter((id) => !ids.has(id))).toEqual([]);
    expect(archived.filter((row) => row.copies !== 1)).toEqual([]);
    expect([...ids].filter((id) => !sent.has(id))).toEqual([]);

    const [total] = await stack.db.query<{ progress: number; ledger: number; board: number }>(
      `SELECT (SELECT sum(total_xp) FROM player_progress) AS progress, (SELECT sum(delta_xp) FROM progress_events) AS ledger,
              (SELECT sum(score) FROM board_scores WHERE board = 'xp' AND cycle = 'all-time:all') AS board`,
    );
    expect(total).toEqual({ progress: ids.size * XP, ledger: ids.size * XP, board: ids.size * XP });
    const letters = await stack.db.query('SELECT role, reason, detail FROM dead_letters');
    expect(letters).toEqual([]);
  }, 180_000);

  test('the audit finds no difference afterwards', async () => {
    const definitions = createDefinitionSource(stack.db);
    const result = await auditGame('demo', {
      db: stack.db,
      definitions,
      clock: systemClock,
      takes,
      rerun,
    });
    expect(result.differences).toEqual([]);
    expect(result.players).toBe(PLAYERS);
  }, 60_000);
});
