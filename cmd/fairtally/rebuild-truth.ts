import { countOf } from '../../pkg/cli/plural.js';
import { wrongCommand } from '../../pkg/cli/program.js';
import { rebuildTruthCommand } from '../../pkg/cli/rebuild-truth.js';
import { createDefinitionSource } from '../../pkg/games/definitions/postgres.js';
import { createReceiptKeys } from '../../pkg/games/receipt-keys/postgres.js';
import { rebuildTruth, type SharedHealed, type TruthRows, type TruthScope } from '../../pkg/heal/rebuild.js';
import { countPlayers, gamesOf, playersAfter, refuseUnknown } from '../../pkg/heal/walks.postgres.js';
import { boardNames } from '../../pkg/leaderboard/rederive.js';
import { subjectRederivation } from '../../pkg/leaderboard/rederive-subjects.js';
import { masterKeyText } from '../../pkg/runtime/secret-files.js';
import { createSealer, parseMasterKeys } from '../../pkg/secrets/seal.js';
import { healPlayers } from '../../pkg/worker/rederive/heal.js';
import { makeProfile } from '../../pkg/worker/rederive/profile.postgres.js';
import { rederiveShared } from '../../pkg/worker/rederive/shared.js';
import type { Healed } from '../../pkg/worker/rederive/port.js';
import type { Walked } from '../../pkg/worker/rederive/walk.js';
import type { CommandLine } from '../command-line.js';
import { healParts, type HealEngines as AllEngines } from '../heal.js';
import { withBoardView, type Engines } from './views.js';

type HealEngines = Omit<AllEngines, 'life'>;

export type TruthAsked = Omit<TruthScope, 'rows'> & {
  readonly board: string | null;
  /** First the profile of the player is made, from an archive that somebody says is whole. */
  readonly isProfileAsked: boolean;
};

/** `rebuild truth`: players, and boards that rank something else, made again from the archive. */
export async function rebuildTruthOf(
  asked: TruthAsked,
  engines: Engines,
  line: CommandLine,
): Promise<number> {
  const { db } = engines;
  const { gameId, playerId, board, isDryRun } = asked;
  if (gameId !== null) await refuseUnknown(db, gameId, playerId);
  const { clock, random, out } = line;
  if (asked.isProfileAsked && gameId !== null && playerId !== null) {
    const events = await db.transaction((sql) => makeProfile(sql, { gameId, playerId }, true));
    out.line(
      events === null
        ? 'The archive has no event of the player: there is no profile to make.'
        : `The profile counts ${countOf(events, 'event')}, as the archive does.`,
    );
  }
  return withBoardView(engines, line, async (view) => {
    const sealer = createSealer(parseMasterKeys(masterKeyText(line.config(), random)), random);
    const receiptKeys = createReceiptKeys(db, sealer);
    const definitions = createDefinitionSource(db);
    const healing: HealEngines = { db, definitions, receiptKeys, view, clock, random, onlyBoard: board };
    const parts = healParts(healing);
    const scope: TruthScope = { ...asked, rows: await rowsOf(asked, healing) };
    return rebuildTruthCommand(isDryRun, {
      countPlayers: () => (playerId === null ? countPlayers(db, gameId) : Promise.resolve(1)),
      rebuild: (onProgress, onWalk) =>
        rebuildTruth(scope, {
          playersAfter: (player, limit, ofGame) => playersAfter(db, player, limit, ofGame),
          heal: (ofGame, players, isDry) => healPlayers(ofGame, players, parts, isDry),
          healShared: () => healBoards(asked, healing, onWalk),
          clock,
          onProgress,
        }),
      out,
    });
  });
}

/** @throws FairtallyError when no game that is asked for has the board */
async function rowsOf(
  { gameId, playerId, board }: TruthAsked,
  { db, definitions }: HealEngines,
): Promise<TruthRows> {
  if (board === null) return 'all';
  let isOfPlayers = false;
  let isOfSubjects = false;
  for (const game of gameId === null ? await gamesOf(db) : [gameId]) {
    const { ofPlayers, ofSubjects } = await boardNames(db, game, definitions);
    isOfPlayers ||= ofPlayers.has(board);
    isOfSubjects ||= ofSubjects.has(board);
  }
  if (!isOfPlayers && !isOfSubjects) throw wrongCommand(`no version of a game has a board "${board}"`);
  if (!isOfPlayers && playerId !== null)
    throw wrongCommand(`board "${board}" does not rank players: leave --player out`);
  if (isOfPlayers) return isOfSubjects ? 'all' : 'players';
  return 'shared';
}

async function healBoards(
  { gameId, board, isDryRun }: TruthAsked,
  { db, definitions, view, clock, random }: HealEngines,
  onProgress: (walked: Walked) => void,
): Promise<SharedHealed> {
  const healed: Healed[] = [];
  const left: Healed[] = [];
  let isCut = false;
  for (const game of gameId === null ? await gamesOf(db) : [gameId]) {
    const { ofSubjects } = await boardNames(db, game, definitions);
    const boards = new Set([...ofSubjects].filter((name) => board === null || name === board));
    if (boards.size === 0) continue;
    const rederivation = subjectRederivation({ definitions, view, gameId: game, boards });
    const label = [...boards].sort().join(', ');
    const parts = { db, definitions, clock, random, gameId: game, rederivation, label, onProgress };
    const found = await rederiveShared(parts, isDryRun);
    healed.push(...found.healed);
    left.push(...found.left);
    isCut ||= found.isCut;
  }
  return { healed, left, isCut };
}
