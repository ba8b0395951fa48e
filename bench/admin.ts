import { createSignedClient } from '../pkg/client/signed-client.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { createRedisClient, redisReady } from '../pkg/redis/client.js';
import { DEMO_SECRET } from '../pkg/testkit/stack.js';
import { exportFigures } from './admin-export.js';
import { ADMIN_READS, GATEWAY_READS, LIVE_BOARD, type Read, type Subjects } from './admin-reads.js';
import { GREAT, openStand, SMALL, type Stand } from './admin-stand.js';
import { timed } from './asker.js';
import type { Bench } from './bench.js';
import { percentile, type Figure } from './figure.js';

const MANY: Asked = { requests: 300, atOnce: 4 };
/** A read that takes longer for one request ends the bench, which names it. */
const DEADLINE_MS = 5_000;
/** Read from PostgreSQL a board takes longer: of several at once on a slow machine one may pass its time and be 503. */
const WITHOUT_REDIS: Asked = { requests: 12, atOnce: 1 };
const DEADLINE_WITHOUT_REDIS_MS = 20_000;
const GOAL_MS = 50;

/** What each page of the dashboard asks, of a game of a million players beside one of a thousand. */
export async function admin(bench: Bench): Promise<readonly Figure[]> {
  const stand = await openStand(bench);
  try {
    const memory = await viewFigures(stand);
    const pages = await measured(bench, stand, ADMIN_READS, adminAsk(stand, DEADLINE_MS), MANY);
    const client = gatewayAsk(stand);
    const gateway = await measured(bench, stand, GATEWAY_READS, client.ask, MANY);
    const exported = await exportFigures(bench, stand);
    await stand.redis.kill();
    const patient = adminAsk(stand, DEADLINE_WITHOUT_REDIS_MS);
    const away = await measured(bench, stand, LIVE_BOARD, patient, WITHOUT_REDIS);
    client.close();
    return [
      ...figuresOf(pages, GOAL_MS),
      ...figuresOf(gateway, GOAL_MS),
      ...figuresOf(away, null, ', Redis away'),
      ...memory,
      ...exported,
    ];
  } finally {
    await stand.close();
  }
}

interface Asked {
  readonly requests: number;
  readonly atOnce: number;
}

type AskRead = (read: Read, subjects: Subjects, n: number) => Promise<void>;

const adminAsk =
  ({ adminAsker, headers }: Stand, deadlineMs: number): AskRead =>
  async (read, subjects, n) => {
    const path = `/admin/v1/games/${subjects.gameId}${read.path(subjects, n)}`;
    await adminAsker.ask(path, headers(), { deadlineMs });
  };

function gatewayAsk({ gatewayUrl }: Stand): { readonly ask: AskRead; close(): void } {
  const clients = new Map(
    [SMALL, GREAT].map(({ gameId, keyId }) => [
      gameId,
      createSignedClient({ url: gatewayUrl, keyId, secret: DEMO_SECRET, clock, timeoutMs: DEADLINE_MS }),
    ]),
  );
  return {
    ask: async (read, subjects, n) => {
      const path = read.path(subjects, n);
      const { status, text } = (await clients.get(subjects.gameId)?.send('GET', path)) ?? {};
      if (status !== 200) throw new Error(`${path} was answered ${String(status)}: ${text ?? ''}`);
    },
    close: () => clients.forEach((client) => client.close()),
  };
}

interface Took {
  readonly read: Read;
  /** Milliseconds, by game. */
  readonly ms: ReadonlyMap<string, readonly number[]>;
}

/** Each read of one game and of the other by turns, after a warm-up, so that both meet the same machine. */
async function measured(
  bench: Bench,
  stand: Stand,
  reads: readonly Read[],
  ask: AskRead,
  asked: Asked,
): Promise<Took[]> {
  const took: Took[] = [];
  for (const read of reads) {
    const one = await measuredRead(stand, read, ask, asked).catch((error: unknown) => {
      throw new Error(`${read.page}, ${read.name}: no figure`, { cause: error });
    });
    took.push(one);
    bench.tell(`admin: ${read.page}, ${textOf(one)}`);
  }
  return took;
}

async function measuredRead(
  { subjects }: Stand,
  read: Read,
  ask: AskRead,
  { requests, atOnce }: Asked,
): Promise<Took> {
  const ms = new Map<string, number[]>([...subjects.keys()].map((gameId) => [gameId, []]));
  for (const of of subjects.values()) await timed(atOnce * 2, atOnce, (n) => ask(read, of, requests + n));
  const part = requests / ROUNDS;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [gameId, of] of subjects)
      ms.get(gameId)?.push(...(await timed(part, atOnce, (n) => ask(read, of, round * part + n))));
  }
  return { read, ms };
}
const ROUNDS = 3;

const at = ({ ms }: Took, gameId: string, share: number): number => percentile(ms.get(gameId) ?? [], share);

/** The name, then p50, p95 and greatest in ms, and how they stand to those of the small game. */
const textOf = (took: Took): string =>
  `${took.read.name} ${[0.5, 0.95, 1].map((share) => at(took, GREAT.gameId, share).toFixed(1)).join('/')} ms ` +
  `(x${(at(took, GREAT.gameId, 0.95) / at(took, SMALL.gameId, 0.95)).toFixed(1)})`;

/** A figure per page: its slowest read, the others beside it. */
function figuresOf(took: readonly Took[], goalMs: number | null, suffix = ''): Figure[] {
  const pages = new Map<string, Took[]>();
  for (const one of took) pages.set(one.read.page, [...(pages.get(one.read.page) ?? []), one]);
  return [...pages].map(([page, reads]) => {
    const p95 = (one: Took): number => at(one, GREAT.gameId, 0.95);
    const slowest = reads.reduce((worst, one) => (p95(one) > p95(worst) ? one : worst));
    return {
      name: `${page}${suffix}: ${slowest.read.name}, 1,000,000 players`,
      measured: `p50 ${at(slowest, GREAT.gameId, 0.5).toFixed(1)} ms, p95 ${p95(slowest).toFixed(1)} ms`,
      limit: `1,000 players: p95 ${at(slowest, SMALL.gameId, 0.95).toFixed(1)} ms`,
      value: p95(slowest),
      goal: goalMs === null ? null : { kind: 'atMost', value: goalMs, unit: 'ms' },
      note: `p50/p95/max at a million players, and p95 as a multiple of that at a thousand: ${reads.map(textOf).join(', ')}`,
    };
  });
}

const MB = 1024 * 1024;

/** What a row of a view costs, and how long a million of them take to be built. */
async function viewFigures({ redis: { url }, rebuilt }: Stand): Promise<Figure[]> {
  const redis = createRedisClient({ url });
  try {
    await redisReady(redis, 5_000);
    const info = await redis.info('memory');
    const bytes = Number(/used_memory:(\d+)/.exec(info)?.[1]);
    const [great, small] = [GREAT, SMALL].map(({ gameId }) => rebuilt.get(gameId)?.seconds ?? NaN);
    return [
      {
        name: 'Redis memory of a board of 1,000,000 players',
        measured: `${(bytes / MB).toFixed(0)} MB, ${(bytes / GREAT.players).toFixed(0)} bytes a player`,
        limit: '',
        value: bytes / GREAT.players,
        goal: null,
        note: 'ids of 16 bytes; all that the server uses',
      },
      {
        name: 'fairtally rebuild of a view of 1,000,000 players',
        measured: `${(great ?? NaN).toFixed(1)} s`,
        limit: `1,000 players: ${(small ?? NaN).toFixed(1)} s`,
        value: great ?? NaN,
        goal: null,
        note: 'the whole command; readers use PostgreSQL meanwhile',
      },
    ];
  } finally {
    redis.disconnect();
  }
}
