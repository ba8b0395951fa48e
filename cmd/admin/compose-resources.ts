import { databaseWithin } from '../../pkg/admin/game-database.postgres.js';
import type { GameDatabase } from '../../pkg/admin/port.js';
import { boardReaderOfGames } from '../../pkg/admin/resources/game-boards.postgres.js';
import type { ResourceParts } from '../../pkg/admin/resources/routes.js';
import { createLineJudge } from '../../pkg/ingest/judge-line.js';
import { forecast } from '../../pkg/replay/forecast.js';
import {
  countReplays,
  insertReplay,
  listReplays,
  lockReplays,
  markCancelled,
  markStarted,
  readBytes,
  readReplay,
  RECORDINGS_MAX,
  removeReplay,
} from '../../pkg/replay/jobs.postgres.js';
import { countLines, readPieces, survey } from '../../pkg/replay/recording.js';
import type { Bus } from '../../pkg/bus/port.js';
import { DefinitionError } from '../../pkg/games/definitions/faults.js';
import { createDefinitionStore } from '../../pkg/games/definitions/postgres.js';
import { createKeyStore } from '../../pkg/games/keys/postgres.js';
import { postgresPlayerStates } from '../../pkg/leaderboard/hide.postgres.js';
import { postgresBoardReader } from '../../pkg/leaderboard/read.postgres.js';
import { redisBoardView } from '../../pkg/leaderboard/redis.js';
import { finalRanks, HiddenPlaces } from '../../pkg/leaderboard/snapshot-read.postgres.js';
import { postgresBoardTruth } from '../../pkg/leaderboard/truth.postgres.js';
import { BoardView } from '../../pkg/leaderboard/view.js';
import { createProgressionReads, isReceiptRevoked } from '../../pkg/progression/queries.postgres.js';
import { verifyReceipt } from '../../pkg/progression/receipts.js';
import { createBoardQueries, type BoardQueries } from '../../pkg/query/boards.js';
import { boundedReader } from '../../pkg/query/bounded-reader.js';
import type { BusName } from '../../pkg/runtime/config-options.js';
import { dropLetters } from '../../pkg/worker/dead-letters/decisions.postgres.js';
import {
  letterIds,
  listLetters,
  readLetter,
  recordAction,
  tallyLetters,
} from '../../pkg/worker/dead-letters/queries.postgres.js';
import { progressOf, redriveLetters } from '../../pkg/worker/resubmissions/postgres.js';
import { RECEIPT_ISSUER, type Platform } from '../platform.js';

/** What the resources are made of. */
export interface ResourcePlatform extends Pick<
  Platform,
  'redis' | 'life' | 'sealer' | 'definitions' | 'receiptKeys' | 'clock' | 'random' | 'logger'
> {
  /** Sees all games: for views of boards alone, never for what a request names. */
  readonly db: Platform['db'];
  readonly games: GameDatabase;
  readonly bus: Pick<Bus, 'lag'>;
  readonly busName: BusName;
}

/** Buses that count exactly what waits. The memory bus reaches no further than its process, which is not this one. */
const EXACT: readonly BusName[] = ['postgres', 'kafka'];

/** What a page of the dashboard asks, from the rooms that know it. */
export function composeResources(
  platform: ResourcePlatform,
): ResourceParts & { readonly liveBoards: BoardQueries } {
  const { db, games, redis, definitions, clock, logger, bus, busName } = platform;
  const store = redis === null ? null : redisBoardView(redis, logger, platform.life);
  const view = new BoardView({ truth: postgresBoardTruth(db), store, definitions, clock, log: logger });
  const hiddenPlaces = new HiddenPlaces();
  const reader = boundedReader(
    boardReaderOfGames(games, (within) => postgresBoardReader(within, hiddenPlaces)),
  );
  const boards = { definitions, reader, view: store, clock };
  const { publicKey } = platform.receiptKeys;
  const isRevoked = (gameId: string, receiptId: string): Promise<boolean> =>
    games.read(gameId, (sql) => isReceiptRevoked(sql, gameId, receiptId));
  return {
    definitions,
    clock,
    view,
    boards: createBoardQueries(boards),
    // What requests made it remember would be news to streams a second late.
    liveBoards: createBoardQueries(boards),
    progression: (sql) => createProgressionReads(sql, definitions),
    finalRanks: (sql, player, cycles) => finalRanks(sql, hiddenPlaces, player, cycles),
    setHidden: (sql, request) => postgresPlayerStates(sql).setHidden(request),
    verifyReceipt: (jws) => verifyReceipt(jws, { issuer: RECEIPT_ISSUER, publicKey, isRevoked }),
    keys: (sql) => createKeyStore({ ...platform, database: databaseWithin(sql) }),
    definitionStore: (sql) => createDefinitionStore(databaseWithin(sql)),
    faultsOf: (error) => (error instanceof DefinitionError ? error.faults : null),
    letters: {
      list: listLetters,
      tally: tallyLetters,
      read: readLetter,
      ids: letterIds,
      recordAction,
      redrive: redriveLetters,
      progress: progressOf,
      drop: dropLetters,
    },
    replays: {
      insert: insertReplay,
      list: listReplays,
      read: readReplay,
      bytes: readBytes,
      count: countReplays,
      lock: lockReplays,
      markStarted,
      markCancelled,
      remove: removeReplay,
      countLines,
      lines: readPieces,
      survey,
      forecast,
      judgeOf: createLineJudge,
      keptMax: RECORDINGS_MAX,
    },
    random: platform.random,
    databaseWithin,
    bus: busName,
    lag: (role) => bus.lag(role),
    isLagExact: EXACT.includes(busName),
    viewState: () => (store === null ? 'none' : store.isAway() ? 'away' : 'there'),
  };
}
