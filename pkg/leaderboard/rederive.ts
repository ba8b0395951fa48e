import type { DefinitionSource } from '../games/port.js';
import type { Sql } from '../postgres/port.js';
import type { PlayerRef, Rederivation, RoleEvent } from '../worker/port.js';
import {
  boardId,
  fold,
  isSame,
  scoreId,
  type BoardChanges,
  type ChangedScore,
  type LockedScores,
  type ScoreKey,
} from './fold.js';
import { hold, holdOpen, inKeyOrder, lockKeys, updateLocked } from './postgres.js';
import type { BoardKey } from './port.js';
import { keysOfSubject, makeRoom, removeLocked, settleCycles, versionsOf } from './rederive.postgres.js';
import { leaderboardRole } from './role.js';
import type { BoardView } from './view.js';

/** Rows of a player that are locked, by the text of their key. */
export interface LockedPlayer {
  readonly keys: ReadonlyMap<string, ScoreKey>;
  readonly rows: LockedScores;
  /** Boards that rank something else than players: what events of one player make of those rows is not all of them. */
  readonly otherBoards: ReadonlySet<string>;
}

export interface ScoreRederivationParts {
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly view: Pick<BoardView, 'refreshPlayer' | 'refresh'>;
}

/** Makes a player's scores again on every board that ranks players. Boards of guilds and the like are another matter. */
export function scoreRederivation({ definitions, view }: ScoreRederivationParts): Rederivation<LockedPlayer> {
  const { takes } = leaderboardRole(view);
  return {
    role: 'leaderboard',
    takes,
    async lock(sql, player, events) {
      const otherBoards = new Set<string>();
      for (const version of await versionsOf(sql, player.gameId))
        for (const board of (await definitions.version(player.gameId, version)).boards.values())
          if (board.subjectField !== null) otherBoards.add(board.name);
      return lockPlayer(sql, player, events, otherBoards);
    },
    covers: ({ rows, otherBoards }, events) =>
      made(events, otherBoards).scores.every(({ id }) => rows.has(id)),
    save: saveAgain,
    refresh: ({ gameId, playerId }) => view.refreshPlayer(gameId, playerId),
  };
}

/** What the events make of nothing, on boards of players. */
function made(events: readonly RoleEvent[], otherBoards: ReadonlySet<string>): BoardChanges {
  const { scores, cycles } = fold(new Map(), events);
  return {
    scores: scores.filter(({ key }) => !otherBoards.has(key.board)),
    cycles: cycles.filter(({ key }) => !otherBoards.has(key.board)),
  };
}

/** Rows that stand are locked first, as the role does it; then the absent ones are made, and locked so. */
async function lockPlayer(
  sql: Sql,
  player: PlayerRef,
  events: readonly RoleEvent[],
  otherBoards: ReadonlySet<string>,
): Promise<LockedPlayer> {
  const stored = (await keysOfSubject(sql, player)).filter(({ board }) => !otherBoards.has(board));
  const wanted = made(events, otherBoards).scores.map(({ key }) => key);
  const keys = new Map([...stored, ...wanted].map((key) => [scoreId(key), key]));
  const standing = await lockKeys(sql, keys.values());
  const absent = wanted.filter((key) => !standing.has(scoreId(key)));
  await makeRoom(sql, absent);
  return { keys, rows: new Map([...standing, ...(await lockKeys(sql, absent))]), otherBoards };
}

async function saveAgain(
  sql: Sql,
  { playerId }: PlayerRef,
  { keys, rows, otherBoards }: LockedPlayer,
  events: readonly RoleEvent[],
): Promise<void> {
  const { scores, cycles } = made(events, otherBoards);
  const left = new Map(rows);
  const changed: ChangedScore[] = [];
  const settled = new Map<string, { readonly key: BoardKey; readonly isAnew: boolean }>();
  for (const score of scores) {
    const stored = left.get(score.id);
    if (stored === undefined) throw new Error('a row of board_scores is not locked');
    left.delete(score.id);
    if (stored.revision > 0 && isSame(stored, score.row)) continue;
    const row = { ...score.row, revision: stored.revision + 1, place: stored.place };
    changed.push({ ...score, row });
    settled.set(boardId(score.key), { key: score.key, isAnew: stored.revision === 0 });
  }
  for (const [id, { revision }] of left) {
    const key = keys.get(id);
    if (key !== undefined && revision > 0) settled.set(boardId(key), { key, isAnew: true });
  }
  await updateLocked(sql, changed);
  await removeLocked(
    sql,
    [...left.values()].flatMap(({ place }) => place ?? []),
  );
  // As the role does: a cycle that is being closed waits for this, or this finds it final.
  const known = new Set(cycles.map(({ key }) => boardId(key)));
  const others = [...settled].filter(([id]) => !known.has(id)).map(([, cycle]) => cycle);
  await holdOpen(sql, [...cycles].sort(inKeyOrder));
  if (others.length > 0) await hold(sql, others);
  await settleCycles(sql, playerId, [...settled.values()]);
}
