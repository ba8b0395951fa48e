import { readFileSync } from 'node:fs';
import type { Redis } from 'ioredis';
import { composeResources } from '../../../cmd/admin/compose-resources.js';
import { createDefinitionSource, type RefreshingDefinitions } from '../../games/definitions/postgres.js';
import { createReceiptKeys, type ReceiptKeyStore } from '../../games/receipt-keys/postgres.js';
import type { GameDefinition } from '../../games/port.js';
import { systemRandom } from '../../kernel/random.js';
import { postgresPlayerStates } from '../../leaderboard/hide.postgres.js';
import { handClock } from '../../leaderboard/fixtures.js';
import { postgresBoardReader } from '../../leaderboard/read.postgres.js';
import { postgresBoardTruth } from '../../leaderboard/truth.postgres.js';
import { BoardView } from '../../leaderboard/view.js';
import { createDatabase } from '../../postgres/database.js';
import type { Database, Sql } from '../../postgres/port.js';
import { createBoardQueries, type BoardQueries } from '../../query/boards.js';
import { createSealer } from '../../secrets/seal.js';
import { createGameStore } from '../../games/tenants/postgres.js';
import { startAdminServer, type AdminServer, type Answered } from '../../testkit/admin-server.js';
import { testDatabase } from '../../testkit/postgres.js';
import { quietLogger } from '../../testkit/quiet.js';
import type { Call, GameCall, GameOperationId } from '../api/routes.js';
import { createGameDatabase } from '../game-database.postgres.js';
import type { GameDatabase, Person } from '../port.js';
import { boardReaderOfGames } from './game-boards.postgres.js';
import { gameListRoutes } from './game-list.postgres.js';
import { resourceRoutes } from './routes.js';

const SAMPLE = readFileSync(new URL('../../../sample_events/demo.yaml', import.meta.url), 'utf8');

export const NOON_MS = Date.UTC(2026, 10, 20, 12);
export const sealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 1) }], systemRandom);

/** The sample definition without its name, changed. */
export const sampleSource = (change: (yaml: string) => string = (yaml) => yaml): string =>
  change(SAMPLE.replace('game: demo\n', ''));

export interface ResourceServer extends AdminServer {
  readonly definitions: RefreshingDefinitions;
  readonly receiptKeys: ReceiptKeyStore;
}

/** The admin API with the resources as cmd/admin makes them; two events of each role wait on its bus. */
export async function startResourceServer(redis: Redis | null): Promise<ResourceServer> {
  const made: { definitions?: RefreshingDefinitions; receiptKeys?: ReceiptKeyStore } = {};
  const server = await startAdminServer({
    routes: ({ db, apiDb, games, sealer: ofServer, clock }) => {
      const definitions = (made.definitions = createDefinitionSource(db));
      const receiptKeys = (made.receiptKeys = createReceiptKeys(db, ofServer));
      const resources = composeResources({
        db,
        games,
        redis,
        life: () => 'life',
        sealer: ofServer,
        definitions,
        receiptKeys,
        clock,
        random: systemRandom,
        logger: quietLogger,
        bus: { lag: () => Promise.resolve({ waiting: 2, oldestPublishedAtMs: clock.now() - 1_000 }) },
        busName: 'postgres',
      });
      return { game: resourceRoutes(resources), signedIn: gameListRoutes({ apiDb, definitions, clock }) };
    },
  });
  const { definitions, receiptKeys } = made;
  if (definitions === undefined || receiptKeys === undefined) throw new Error('the server has no routes');
  return { ...server, definitions, receiptKeys };
}

/** The items of a page. */
export const rowsOf = (answer: Answered): readonly Readonly<Record<string, unknown>>[] =>
  (answer.body as { readonly items: readonly Readonly<Record<string, unknown>>[] }).items;

/** A database as its owner sees it and as the admin API does, with the parts that most routes ask. */
export interface World {
  readonly db: Database;
  readonly games: GameDatabase;
  readonly clock: ReturnType<typeof handClock>;
  readonly view: BoardView;
  setHidden(
    sql: Sql,
    request: Parameters<ReturnType<typeof postgresPlayerStates>['setHidden']>[0],
  ): Promise<boolean>;
  boardsOf(definition: () => GameDefinition): BoardQueries;
  makeGame(gameId: string): Promise<void>;
  close(): Promise<void>;
}

export async function openWorld(): Promise<World> {
  const database = await testDatabase();
  const api = createDatabase({ url: database.url, poolSize: 4, role: 'fairtally_api' });
  const clock = handClock(NOON_MS);
  const games = createGameDatabase(api, clock);
  const unknown = { version: () => Promise.reject(new Error('no view, no definition')) };
  return {
    db: database.db,
    games,
    clock,
    view: new BoardView({
      truth: postgresBoardTruth(database.db),
      store: null,
      definitions: unknown,
      clock,
      log: quietLogger,
    }),
    setHidden: (sql, request) => postgresPlayerStates(sql).setHidden(request),
    boardsOf: (definition) =>
      createBoardQueries({
        definitions: { inForce: () => Promise.resolve(definition()) },
        reader: boardReaderOfGames(games, (db) => postgresBoardReader(db)),
        view: null,
        clock,
      }),
    makeGame: async (gameId) => {
      await createGameStore(database.db, sealer, systemRandom).create({ gameId, dedupeFloor: '2026-01-01' });
    },
    close: async () => {
      await api.close();
      await database.close();
    },
  };
}

export const ANN: Person = {
  userId: 'ann-0000000000000000aa',
  username: 'ann',
  sessionId: 'session-00000000000000',
  isLocal: true,
  mustChangePassword: false,
  isAdminOfAll: true,
};

type GameWork<Kind extends 'read' | 'change'> = Parameters<GameCall<never>[Kind]>[0];

/** A request of Ann's as the app hands it to a handler. */
export function callTo<Id extends GameOperationId>(
  { games }: Pick<World, 'games'>,
  gameId: string,
  parts: Partial<Omit<Call<Id>, 'path'>> & { readonly path?: Omit<Call<Id>['path'], 'gameId'> } = {},
): GameCall<Id> {
  const actor = { userId: ANN.userId, name: ANN.username, requestId: 'request-1' };
  return {
    query: {},
    body: null,
    requestId: 'request-1',
    address: '127.0.0.1',
    ...parts,
    path: { gameId, ...parts.path },
    person: ANN,
    gameId,
    role: 'admin',
    read: (work: GameWork<'read'>) => games.read(gameId, work),
    change: (work: GameWork<'change'>) => games.change(gameId, actor, work),
  } as unknown as GameCall<Id>;
}

/** The JSON of an answer. */
export async function bodyOf<Body>(
  answer: Promise<{ readonly status: number; readonly body?: Body } | { readonly send: unknown }>,
): Promise<Body> {
  const given = await answer;
  if ('send' in given || given.body === undefined) throw new Error('the answer is no JSON');
  return given.body;
}

/** The audit log of a game, oldest first. */
export const auditOf = (
  { db }: Pick<World, 'db'>,
  gameId: string,
): Promise<{ action: string; subject: string; reason: string | null; details: object }[]> =>
  db.query('SELECT action, subject, reason, details FROM admin_audit WHERE game_id = $1 ORDER BY seq', [
    gameId,
  ]);
