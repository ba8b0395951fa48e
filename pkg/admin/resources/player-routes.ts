import type { DefinitionSource, GameDefinition } from '../../games/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { HideRequest } from '../../leaderboard/hide.js';
import type { BoardView } from '../../leaderboard/view.js';
import type { Sql } from '../../postgres/port.js';
import type { ProgressionReads } from '../../progression/port.js';
import type { BoardQueries } from '../../query/boards.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import { found, instantOf, pageAnswer, pageRequest, textOrNull, type Schemas } from './answers.js';
import { takeOverHiding } from './cases.postgres.js';
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
  /** Ranks in closed cycles, of one transaction; null where they are to be asked of `boards`. */
  readonly finalRanks: (
    sql: Sql,
    player: { readonly gameId: string; readonly playerId: string },
    cycles: readonly Pick<PlaceRow, 'board' | 'cycle' | 'partition'>[],
  ) => Promise<readonly (Rank | null)[]>;
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
    const decision = { gameId, playerId, by: person.username, reason };
    const changed = await setHidden(sql, { ...decision, hidden });
    const tookOver = hidden && !changed && (await takeOverHiding(sql, decision));
    audit({
      action: hidden ? 'player.hide' : 'player.restore',
      subject: `player ${playerId}`,
      reason,
      details: { changed, ...(tookOver && { tookOver }) },
    });
    return readVisibility(sql, gameId, playerId, changed);
  });
  await view.refreshPlayer(gameId, playerId);
  return visibility;
}

async function playerBoards(
  { gameId, path: { playerId }, query: { ranks = true }, read }: GameCall<'listPlayerBoards'>,
  parts: PlayerParts,
): Promise<Schemas['PlayerBoards']> {
  const definition = await parts.definitions.inForce(gameId, parts.clock.now());
  const { places, truncated, finals } = await read(async (sql) => {
    const listed = await listPlaces(sql, gameId, playerId);
    const final = listed.places.slice(0, ranks ? RANKED_PLACES : 0).filter(({ isFinal }) => isFinal);
    const found = await parts.finalRanks(sql, { gameId, playerId }, final);
    return { ...listed, finals: new Map(final.map((place, index) => [place, found[index] ?? null])) };
  });
  const items = await Promise.all(
    places.map(async (place, index) => {
      const shown = definition === null ? null : shownPlace(definition, place, parts.clock.now());
      if (shown === null) return [];
      const request = { gameId, playerId, place, window: shown.window };
      const asksRank = ranks && index < RANKED_PLACES;
      const { rank, total } = finals.get(place) ?? (asksRank ? await readRank(request, parts) : NO_RANK);
      return [{ ...shown, rank, total }];
    }),
  );
  const listed = items.flat();
  return {
    items: [...listed.filter((one) => one.isCurrent), ...listed.filter((one) => !one.isCurrent)],
    truncated,
  };
}

type Rank = Pick<Schemas['PlayerPlace'], 'rank' | 'total'>;
const NO_RANK: Rank = { rank: null, total: null };

/** null: a board or window that the definition no longer has, or a board of guilds that a player's id happens to name. */
function shownPlace(
  definition: GameDefinition,
  place: PlaceRow,
  nowMs: number,
): Omit<Schemas['PlayerPlace'], 'rank' | 'total'> | null {
  const [kind, name] = splitCycle(place.cycle);
  const board = definition.boards.get(place.board);
  const window = board?.windows.find((one) => one.kind === kind);
  if (board === undefined || window === undefined || board.subjectField !== null) return null;
  return {
    board: place.board,
    window: window.kind,
    cycle: name,
    partition: textOrNull(place.partition),
    isCurrent: definition.cycleAt(window, nowMs).name === name,
    score: place.score,
    reachedAt: instantOf(place.reachedAtMs),
  };
}

async function readRank(
  { gameId, playerId, place, window }: RankRequest,
  { boards }: PlayerParts,
): Promise<Rank> {
  const [, cycle] = splitCycle(place.cycle);
  const request = { gameId, board: place.board, window, cycle, ...partitionOf(place) };
  const { entries, total } = await boards.players({ ...request, playerIds: [playerId] });
  return { rank: entries[0]?.rank ?? null, total };
}

interface RankRequest {
  readonly gameId: string;
  readonly playerId: string;
  readonly place: PlaceRow;
  readonly window: Schemas['WindowKind'];
}

const splitCycle = (cycle: string): readonly [string, string] => {
  const colon = cycle.indexOf(':');
  return [cycle.slice(0, colon), cycle.slice(colon + 1)];
};

const partitionOf = ({ partition }: PlaceRow): { readonly partition?: string } =>
  partition === '' ? {} : { partition };
