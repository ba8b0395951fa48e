import type { Command } from 'commander';
import type { Redis } from 'ioredis';
import type { ViewCheck } from '../../pkg/audit/audit.js';
import { countOf } from '../../pkg/cli/plural.js';
import { rebuildViews } from '../../pkg/cli/rebuild.js';
import { createDefinitionSource } from '../../pkg/games/definitions/postgres.js';
import { DEFAULT_GAME_ID } from '../../pkg/games/seed.js';
import { isPlayerKnown } from '../../pkg/heal/walks.postgres.js';
import { setHidden } from '../../pkg/leaderboard/hide.js';
import { postgresPlayerStates } from '../../pkg/leaderboard/hide.postgres.js';
import { reconcilePlayer } from '../../pkg/leaderboard/reconcile.js';
import { redisBoardView } from '../../pkg/leaderboard/redis.js';
import { redisStoredRows } from '../../pkg/leaderboard/stored.redis.js';
import { postgresBoardTruth } from '../../pkg/leaderboard/truth.postgres.js';
import { auditViews } from '../../pkg/leaderboard/view-audit.js';
import { BoardView } from '../../pkg/leaderboard/view.js';
import { readLife } from '../../pkg/postgres/life.js';
import type { Database, KnownLife } from '../../pkg/postgres/port.js';
import { createRedisClient, redisReady } from '../../pkg/redis/client.js';
import type { CommandLine } from '../command-line.js';
import { withDatabase } from '../database.js';
import { operatorName } from '../operator-name.js';
import { viewParts } from '../heal.js';

/** Where a command finds the truth and, where there is one, the view. */
export interface Engines {
  readonly db: Database;
  readonly redisUrl: string | null;
}

const REDIS_READY_TIMEOUT_MS = 5_000;

/** With a connected Redis, or with null where there is none. @throws when the one that is named cannot be reached */
async function withRedis<T>(
  { db, redisUrl }: Engines,
  work: (redis: Redis | null, life: KnownLife) => Promise<T>,
): Promise<T> {
  const life = await readLife(db);
  if (redisUrl === null) return work(null, () => life);
  const redis = createRedisClient({ url: redisUrl, connectionName: 'fairtally-command' });
  try {
    await redisReady(redis, REDIS_READY_TIMEOUT_MS);
    return await work(redis, () => life);
  } finally {
    redis.disconnect();
  }
}

const boardView = (db: Database, redis: Redis | null, life: KnownLife, line: CommandLine): BoardView =>
  new BoardView({
    truth: postgresBoardTruth(db),
    store: redis === null ? null : redisBoardView(redis, line.logger(), life),
    definitions: createDefinitionSource(db),
    clock: line.clock,
    log: line.logger(),
  });

/** Builds views anew, with progress. */
export const rebuild = (
  { game, board }: { readonly game?: string; readonly board?: string },
  engines: Engines,
  line: CommandLine,
): Promise<number> =>
  withRedis(engines, async (redis, life) => {
    const { db } = engines;
    if (redis === null) {
      line.out.line('There is no Redis: boards are read from PostgreSQL, and nothing has to be built.');
      return 0;
    }
    const scope = {
      ...(game === undefined ? {} : { gameId: game }),
      ...(board === undefined ? {} : { board }),
    };
    return rebuildViews(scope, { view: boardView(db, redis, life, line), out: line.out });
  });

/** Lends a view that reaches Redis where there is one; without Redis it has nothing to do. */
export const withBoardView = (
  engines: Engines,
  line: CommandLine,
  work: (view: BoardView) => Promise<number>,
): Promise<number> => withRedis(engines, (redis, life) => work(boardView(engines.db, redis, life, line)));

/** Compares the rows that views hold of one player with the truth, and repairs them. */
export const rebuildPlayerViews = (
  player: { readonly gameId: string; readonly playerId: string },
  engines: Engines,
  line: CommandLine,
): Promise<number> =>
  withRedis(engines, async (redis, life) => {
    const { db } = engines;
    if (redis === null) {
      line.out.line('There is no Redis: boards are read from PostgreSQL, and nothing has to be built.');
      return 0;
    }
    const view = boardView(db, redis, life, line);
    const parts = viewParts(redis, { db, definitions: createDefinitionSource(db), view, life, ...line });
    await view.refreshPlayer(player.gameId, player.playerId);
    const { rows, drifts } = await reconcilePlayer(player, parts);
    for (const { key, expected, found, repair } of drifts)
      line.out.line(`${key.board} ${key.cycle} ${key.partition}: ${repair}; ${found} was ${expected}`);
    if (drifts.some(({ repair }) => repair === 'voided')) await view.check();
    line.out.line(
      `${countOf(rows, 'row')} of ${player.playerId} compared, ${String(drifts.length)} repaired.`,
    );
    return 0;
  });

/** Gives an audit its look at the views, where there is a Redis. */
export const withViewCheck = (
  engines: Engines,
  audit: (check: { readonly checkView?: ViewCheck }) => Promise<number>,
): Promise<number> =>
  withRedis(engines, (redis, life) =>
    redis === null ? audit({}) : audit({ checkView: viewCheck(engines.db, redis, life) }),
  );

function viewCheck(db: Database, redis: Redis, life: KnownLife): ViewCheck {
  const definitions = createDefinitionSource(db);
  const deps = {
    truth: postgresBoardTruth(db),
    stored: redisStoredRows(redis, life),
    boardOf: async ({
      key,
      definitionVersion,
    }: {
      key: { gameId: string; board: string };
      definitionVersion: number;
    }) => (await definitions.version(key.gameId, definitionVersion)).boards.get(key.board) ?? null,
  };
  return async (gameId) =>
    (await auditViews(deps, gameId)).map(({ key, subject, expected, found }) => ({
      kind: 'view',
      role: 'view',
      subject,
      what: [key.board, key.cycle, key.partition].filter((part) => part !== '').join(' '),
      expected,
      found,
    }));
}

/** `player hide` and `player restore`: off every board of every cycle, and back exactly where the scores are. */
export function describePlayers(players: Command, line: CommandLine): void {
  for (const [name, hidden, description] of [
    ['hide', true, 'take a player off every board; scores go on counting'],
    ['restore', false, 'put a player back on every board, where the scores are now'],
  ] as const) {
    players
      .command(name)
      .description(description)
      .argument('<player>', 'id of the player')
      .option('--game <id>', 'the game', DEFAULT_GAME_ID)
      .option('--reason <text>', 'why; kept with the change')
      .action(
        line.program.action((playerId: string, { game, reason }: { game: string; reason?: string }) =>
          withDatabase(line, (engines) =>
            changeHidden(
              { gameId: game, playerId, hidden, by: operatorName(), reason: reason ?? null },
              engines,
              line,
            ),
          ),
        ),
      );
  }
}

const changeHidden = (
  request: Parameters<typeof setHidden>[1],
  engines: Engines,
  line: CommandLine,
): Promise<number> =>
  withRedis(engines, async (redis, life) => {
    const { db } = engines;
    const isKnown = await isPlayerKnown(db, request.gameId, request.playerId);
    const changed = await setHidden(
      { players: postgresPlayerStates(db), view: boardView(db, redis, life, line) },
      request,
    );
    const state = request.hidden ? 'hidden' : 'on the boards';
    line.out.line(
      changed
        ? `${request.playerId} is now ${state}.`
        : `${request.playerId} was ${state} already; nothing changed.`,
    );
    if (!isKnown) line.out.line('Nothing is known of such a player yet: it holds from their first event on.');
    return 0;
  });
