import type { BoardReader } from '../../leaderboard/port.js';
import type { Database } from '../../postgres/port.js';
import { databaseWithin } from '../game-database.postgres.js';
import type { GameDatabase } from '../port.js';

/** Boards read from the truth, each inside its own game. */
export const boardReaderOfGames = (
  games: GameDatabase,
  readerOf: (db: Database) => BoardReader,
): BoardReader => ({
  cycle: (key) => games.read(key.gameId, (sql) => readerOf(databaseWithin(sql)).cycle(key)),
  read: (key, ...question) =>
    games.read(key.gameId, (sql) => readerOf(databaseWithin(sql)).read(key, ...question)),
});
