import type { DefinitionSource } from '../../games/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { HideRequest } from '../../leaderboard/hide.js';
import type { BoardView } from '../../leaderboard/view.js';
import type { Sql } from '../../postgres/port.js';
import type { ProgressionReads } from '../../progression/port.js';
import type { BoardQueries } from '../../query/boards.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import { found, instantOf, pageAnswer, pageRequest, textOrNull, type Schemas } from './answers.js';
import { listFindings } from './findings.postgres.js';
import {
  isPlayerKnown,
  listPlaces,
  readPlayer,
  readVisibility,
  readXpSeries,
  searchPlayers,
  type PlaceRow,
} from './players.postgres.js';
import { listPlayerReceipts } from './receipts.postgres.js';

export interface PlayerParts {
  readonly progression: (sql: Sql) => ProgressionReads;
  /** Commits the state; false when it stood already. */
  readonly setHidden: (sql: Sql, request: HideRequest) => Promise<boolean>;
  readonly view: Pick<BoardView, 'refreshPlayer'>;
  readonly boards: Pick<BoardQueries, 'players'>;
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly clock: Pick<Clock, 'now'>;
}

type PlayerOperation =
  | 'searchPlayers'
  | 'getPlayer'
  | 'listXp'
  | 'getXpSeries'
  | 'listPlayerReceipts'
  | 'listPlayerFindings'
  | 'listPlayerBoards'
  | 'hidePlayer'
  | 'restorePlayer';

const DAY_MS = 86_400_000;
const SERIES_DAYS = 90;
/** A rank reads its board, so only the places that come first have one. */
const RANKED_PLACES = 20;

/** One player, whole; and taking a player off the boards. */
export const playerRoutes = (parts: PlayerParts): Pick<GameRoutes, PlayerOperation> => ({
  searchPlayers: async ({ gameId, query, read }) => ({
    status: 200,
    body: await read((sql) => searchPlayers(sql, gameId, { ...pageRequest(query), prefix: query.prefix })),
  }),
  getPlayer: async ({ gameId, path, read }) => ({
    status: 200,
    body: await read(async (sql) => {
      const player = found(await readPlayer(sql, gameId, path.playerId));
      const progress = await parts.progression(sql).progress(gameId, path.playerId);
      return { ...player, progress: progress === null ? null : progressOf(progress) };
    }),
  }),
  listXp: async ({ gameId, path, query, read }) => {
    const page = await read((sql) =>
      parts.progression(sql).xpHistory(gameId, path.playerId, pageRequest(query)),
    );
    return {
      status: 200,
      body: pageAnswer(page, ({ tsMs, ...entry }) => ({ at: instantOf(tsMs), ...entry })),
    };
  },
  getXpSeries: async ({ gameId, path, query, read }) => ({
    status: 200,
    body: await read(async (sql) => {
      const progress = await parts.progression(sql).progress(gameId, path.playerId);
      const sinceMs = startOfDay(parts.clock.now()) - ((query.days ?? SERIES_DAYS) - 1) * DAY_MS;
      return readXpSeries(sql, {
        gameId,
        playerId: path.playerId,
        sinceMs,
        totalXp: progress?.totalXp ?? 0,
      });
    }),
  }),
  listPlayerReceipts: async ({ gameId, path, query, read }) => ({
    status: 200,
    body: await read((sql) => listPlayerReceipts(sql, gameId, path.playerId, pageRequest(query))),
  }),
  listPlayerFindings: async ({ gameId, path, query, read }) => ({
    status: 200,
    body: await read((sql) => listFindings(sql, { gameId, playerId: path.playerId, ...pageRequest(query) })),
  }),
  listPlayerBoards: async (call) => ({ status: 200, body: await playerBoards(call, parts) }),
  hidePlayer: async (call) => ({ status: 200, body: await changeVisibility(call, true, parts) }),
  restorePlayer: async (call) => ({ status: 200, body: await changeVisibility(call, false, parts) }),
});

const startOfDay = (ms: number): number => ms - (ms % DAY_MS);

const progressOf = (progress: Schemas['Progress'] & { readonly playerId: string }): Schemas['Progress'] => {
  const { totalXp, level, levelStartsAtXp, nextLevelAtXp, definitionVersion } = progress;
  return { totalXp, level, levelStartsAtXp, nextLevelAtXp, definitionVersion };
};

async function changeVisibility(
  { gameId, path: { playerId }, body: { reason }, person, change }: GameCall<'hidePlayer' | 'restorePlayer'>,
  hidden: boolean,
  { setHidden, view }: PlayerParts,
): Promise<Schemas['PlayerVisibility']> {
  const visibility = await change(async ({ sql, audit }) => {
    if (!(await isPlayerKnown(sql, gameId, playerId))) found(null);
    const changed = await setHidden(sql, { gameId, playerId, hidden, by: person.username, reason });
    audit({
      action: hidden ? 'player.hide' : 'player.restore',
      subject: `player ${playerId}`,
      reason,
      details: { changed },
    });
    return readVisibility(sql, gameId, playerId, changed);
  });
  await view.refreshPlayer(gameId, playerId);
  return visibility;
}

async function playerBoards(
  { gameId, path: { playerId }, query: { ranks = true }, read }: GameCall<'listPlayerBoards'>,
  { boards, definitions, clock }: PlayerParts,
): Promise<Schemas['PlayerBoards']> {
  const definition = await definitions.inForce(gameId, clock.now());
  const { places, truncated } = await read((sql) => listPlaces(sql, gameId, playerId));
  const items: Schemas['PlayerPlace'][] = [];
  for (const [index, place] of places.entries()) {
    const [kind, name] = splitCycle(place.cycle);
    const board = definition?.boards.get(place.board);
    const window = board?.windows.find((one) => one.kind === kind);
    // Boards and windows that the definition no longer has, and boards of guilds that a player's id happens to name.
    if (definition === null || board === undefined || window === undefined || board.subjectField !== null)
      continue;
    const isCurrent = definition.cycleAt(window, clock.now()).name === name;
    const request = { gameId, board: board.name, window: kind, cycle: name, ...partitionOf(place) };
    const ranked =
      ranks && index < RANKED_PLACES ? await boards.players({ ...request, playerIds: [playerId] }) : null;
    items.push({
      board: place.board,
      window: window.kind,
      cycle: name,
      partition: textOrNull(place.partition),
      isCurrent,
      score: place.score,
      reachedAt: instantOf(place.reachedAtMs),
      rank: ranked?.entries[0]?.rank ?? null,
      total: ranked?.total ?? null,
    });
  }
  return {
    items: [...items.filter((one) => one.isCurrent), ...items.filter((one) => !one.isCurrent)],
    truncated,
  };
}

const splitCycle = (cycle: string): readonly [string, string] => {
  const colon = cycle.indexOf(':');
  return [cycle.slice(0, colon), cycle.slice(colon + 1)];
};

const partitionOf = ({ partition }: PlaceRow): { readonly partition?: string } =>
  partition === '' ? {} : { partition };
