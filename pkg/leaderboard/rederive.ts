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
  /** Boards left alone: those that rank something else than players, whose rows are not one player's, and those not asked for. */
  readonly otherBoards: ReadonlySet<string>;
}

export interface ScoreRederivationParts {
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly view: Pick<BoardView, 'refreshPlayer' | 'refresh'>;
  /** Only the rows of this board; every board's unless given. */
  readonly onlyBoard?: string | null;
}

/** Names of the boards of a game, whichever of its versions has them. */
export interface BoardNames {
  readonly ofPlayers: ReadonlySet<string>;
  /** Boards that rank a payload field in some version. */
  readonly ofSubjects: ReadonlySet<string>;
}

export async function boardNames(
  sql: Sql,
  gameId: string,
  definitions: Pick<DefinitionSource, 'version'>,
): Promise<BoardNames> {
  const all = new Set<string>();
  const ofSubjects = new Set<string>();
  for (const version of await versionsOf(sql, gameId)) {
    for (const { name, subjectField } of (await definitions.version(gameId, version)).boards.values()) {
      all.add(name);
      if (subjectField !== null) ofSubjects.add(name);
    }
  }
  return { ofPlayers: new Set([...all].filter((name) => !ofSubjects.has(name))), ofSubjects };
}

/** Makes a player's scores again on every board that ranks players. Those of guilds and the like: rederive-subjects.ts. */
export function scoreRederivation({
  definitions,
  view,
  onlyBoard = null,
}: ScoreRederivationParts): Rederivation<LockedPlayer> {
  const { takes } = leaderboardRole(view);
  return {
    role: 'leaderboard',
    takes,
    async lock(sql, player, events) {
      const { ofPlayers, ofSubjects } = await boardNames(sql, player.gameId, definitions);
      const others = onlyBoard === null ? [] : [...ofPlayers].filter((name) => name !== onlyBoard);
      return lockPlayer(sql, player, events, new Set([...ofSubjects, ...others]));
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

const saveAgain = (
  sql: Sql,
  { playerId }: PlayerRef,
  { keys, rows, otherBoards }: LockedPlayer,
  events: readonly RoleEvent[],
): Promise<void> => saveMade(sql, playerId, { keys, rows }, made(events, otherBoards));

/** Makes the locked rows of one subject what `made` says, and removes those it says nothing of. What is right stays untouched. */
export async function saveMade(
  sql: Sql,
  subject: string,
  { keys, rows }: Pick<LockedPlayer, 'keys' | 'rows'>,
  { scores, cycles }: BoardChanges,
): Promise<void> {
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
  await settleCycles(sql, subject, [...settled.values()]);
}
