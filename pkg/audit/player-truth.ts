import type { DefinitionSource, GameDefinition } from '../games/port.js';
import type { RoleName } from '../kernel/roles.js';
import type { Sql } from '../postgres/port.js';
import {
  checkEvents,
  checkPlayerScores,
  checkProfile,
  checkProgress,
  groupBy,
  settledIn,
  type Definitions,
  type Rules,
  type Takes,
} from './check-players.js';
import type { Difference } from './difference.js';
import * as store from './postgres.js';
import { loadsOf, weigh } from './weigh.postgres.js';

/**
 * Versions never change, so only new ones are read. Reading hundreds can take longer than a transaction may stand idle:
 * learn them before one begins, or after it.
 */
export async function learnVersions(
  db: Sql,
  gameId: string,
  known: Map<number, GameDefinition>,
  { definitions }: { readonly definitions: Pick<DefinitionSource, 'version'> },
): Promise<Definitions> {
  for (const version of await store.versionsOf(db, gameId))
    if (!known.has(version)) known.set(version, await definitions.version(gameId, version));
  return known;
}

/** Names of the boards that any version has and that rank players, or something else. */
export const boardsWhere = (definitions: Definitions, ranksPlayers: boolean): Set<string> =>
  new Set(
    [...definitions.values()]
      .flatMap((definition) => [...definition.boards.values()])
      .filter((board) => (board.subjectField === null) === ranksPlayers)
      .map((board) => board.name),
  );

/** Profiles, progress and scores of players against their archived events. */
export function checkEffects(
  gameId: string,
  players: readonly string[],
  rows: store.EffectRows,
  rules: Rules,
): Difference[] {
  const of = {
    events: groupBy(rows.events, (row) => row.player_id),
    progress: groupBy(rows.progress, (row) => row.player_id),
    ledger: groupBy(rows.ledger, (row) => row.player_id),
    receipts: groupBy(rows.receipts, (row) => row.player_id),
  };
  return [
    ...rows.profiles.flatMap((profile) => checkProfile(profile, of.events.get(profile.player_id) ?? [])),
    ...players.flatMap((playerId) => {
      const taken = settledIn('progression', of.events.get(playerId) ?? [], rules);
      return checkProgress(gameId, playerId, taken, {
        progress: of.progress.get(playerId) ?? [],
        ledger: of.ledger.get(playerId) ?? [],
        receipts: of.receipts.get(playerId) ?? [],
      });
    }),
    ...checkPlayerScores(
      settledIn('leaderboard', rows.events, rules),
      rows.scores,
      boardsWhere(rules.definitions, false),
    ),
  ];
}

export interface PlayerTruthDeps {
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly takes: Takes;
  /** Of scores only those of this board are told; all unless given. */
  readonly onlyBoard?: string | null;
}

/** What a look at the effects of one role on one player found, by what can be done about it. */
export interface PlayerTruth {
  /** The events make it otherwise: it can be made again. */
  readonly wrong: readonly Difference[];
  /** Receipts that no event causes, or that say something else: signed and handed out, so they stay. */
  readonly kept: readonly Difference[];
  /** The archive of the player is not whole: nothing can be made from it. */
  readonly unfit: readonly Difference[];
  /** Why nothing was read of the player; null: it was. */
  readonly unread: string | null;
}

/** Recounts some players of a game from the archive joined with the inboxes, and compares. Answers by player. */
export async function lookAtTruth(
  sql: Sql,
  role: RoleName,
  gameId: string,
  players: readonly string[],
  deps: PlayerTruthDeps,
): Promise<ReadonlyMap<string, PlayerTruth>> {
  const definitions = await learnVersions(sql, gameId, new Map(), deps);
  const { pages, left } = loadsOf(await weigh(sql, gameId, players));
  const { onlyBoard = null } = deps;
  const isAskedFor = ({ kind, what }: Difference): boolean =>
    kind !== 'score' || onlyBoard === null || what.split(' ', 1)[0] === onlyBoard;
  const truths = new Map<string, PlayerTruth>();
  for (const [player, why] of left) truths.set(player, { wrong: [], kept: [], unfit: [], unread: why });
  for (const page of pages) {
    const rows = await store.effectsOfPlayers(sql, gameId, page);
    const differences = [
      ...checkEvents(rows.events),
      ...checkEffects(gameId, page, rows, { definitions, takes: deps.takes }),
      ...withoutProfile(rows),
    ];
    const bySubject = groupBy(differences, ({ subject }) => subject);
    for (const player of page)
      truths.set(player, sortedOut(role, (bySubject.get(player) ?? []).filter(isAskedFor)));
  }
  return truths;
}

const NONE = 'none';

function sortedOut(role: RoleName, differences: readonly Difference[]): PlayerTruth {
  const own = differences.filter((difference) => difference.role === role);
  const isReceipt = ({ kind, found }: Difference): boolean =>
    kind === 'receipt' || (kind === 'grant' && found !== NONE);
  return {
    wrong: own.filter((difference) => difference.kind !== 'event' && !isReceipt(difference)),
    kept: own.filter(isReceipt),
    unfit: differences.filter(({ kind, found }) => kind === 'profile' || found === 'archived twice'),
    unread: null,
  };
}

/** No page of an audit shows these, which walks over profiles. */
const withoutProfile = ({ events, profiles }: store.EffectRows): Difference[] => {
  const known = new Set(profiles.map((profile) => profile.player_id));
  const unknown = new Set(events.map((event) => event.player_id).filter((player) => !known.has(player)));
  return [...unknown].map((subject) => ({
    kind: 'profile',
    role: 'archive',
    subject,
    what: 'profile',
    expected: 'one',
    found: NONE,
  }));
};
