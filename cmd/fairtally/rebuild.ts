import type { Command } from 'commander';
import { wrongCommand } from '../../pkg/cli/program.js';
import { countOf } from '../../pkg/cli/plural.js';
import { rebuildTruthCommand } from '../../pkg/cli/rebuild-truth.js';
import { createDefinitionSource } from '../../pkg/games/definitions/postgres.js';
import { createReceiptKeys } from '../../pkg/games/receipt-keys/postgres.js';
import { DEFAULT_GAME_ID } from '../../pkg/games/seed.js';
import { rebuildTruth, type TruthScope } from '../../pkg/heal/rebuild.js';
import { countPlayers, playersAfter, refuseUnknown } from '../../pkg/heal/walks.postgres.js';
import { masterKeyText } from '../../pkg/runtime/secret-files.js';
import { createSealer, parseMasterKeys } from '../../pkg/secrets/seal.js';
import { healPlayers } from '../../pkg/worker/rederive/heal.js';
import { makeProfile } from '../../pkg/worker/rederive/profile.postgres.js';
import type { CommandLine } from '../command-line.js';
import { withDatabase } from '../database.js';
import { healParts } from '../heal.js';
import { rebuildPlayerViews, rebuild, withBoardView, type Engines } from './views.js';

interface RebuildOptions {
  readonly game?: string;
  readonly board?: string;
  readonly player?: string;
  readonly after?: string;
  readonly all?: true;
  readonly check?: true;
  readonly profile?: true;
}

/** `rebuild`: views of boards as before, or the truth that they show. */
export function describeRebuild(command: Command, line: CommandLine): void {
  command
    .description('build the views of boards in Redis anew, or make the truth again from the archive')
    .argument('[what]', 'views, or truth: progress, ledger, scores, missing receipts', 'views')
    .option('--game <id>', 'of this game (default: of all; with --player the sample game)')
    .option('--board <name>', 'views: of this board; truth: only scores')
    .option('--player <id>', 'of this player')
    .option('--all', 'truth: of every game')
    .option('--after <player>', 'truth: go on after this player of the game')
    .option('--check', 'truth: tell what is wrong, change nothing')
    .option('--profile', 'truth of a --player: the archive is whole, make the profile from it first')
    .action(
      line.program.action((what: string, options: RebuildOptions) => {
        if (what === 'truth') {
          const scope = scopeOf(options);
          return withDatabase(line, (engines) => rebuildTruthOf(scope, options, engines, line));
        }
        if (what !== 'views' || isOfTruth(options))
          throw wrongCommand('rebuild takes views or truth; --check, --after and --profile are for truth');
        const { game, board, player } = options;
        const scope = { ...(game === undefined ? {} : { game }), ...(board === undefined ? {} : { board }) };
        return withDatabase(line, (engines) =>
          player === undefined
            ? rebuild(scope, engines, line)
            : rebuildPlayerViews({ gameId: game ?? DEFAULT_GAME_ID, playerId: player }, engines, line),
        );
      }),
    );
}

const isOfTruth = ({ check, after, profile }: RebuildOptions): boolean =>
  check === true || after !== undefined || profile === true;

function scopeOf({ game, player, after, all, check, profile }: RebuildOptions): TruthScope {
  if (game === undefined && player === undefined && all !== true)
    throw wrongCommand('rebuild truth needs --game, --player or --all');
  if (after !== undefined && game === undefined) throw wrongCommand('--after goes on within a --game');
  if (profile === true && (player === undefined || check === true))
    throw wrongCommand('--profile is for one --player, and not for --check');
  return {
    gameId: game ?? (player === undefined ? null : DEFAULT_GAME_ID),
    playerId: player ?? null,
    after: after ?? '',
    isDryRun: check === true,
  };
}

async function rebuildTruthOf(
  scope: TruthScope,
  options: RebuildOptions,
  engines: Engines,
  line: CommandLine,
): Promise<number> {
  const { db } = engines;
  if (scope.gameId !== null) await refuseUnknown(db, scope.gameId, scope.playerId);
  const { clock, random, out } = line;
  if (options.profile === true && scope.gameId !== null && scope.playerId !== null) {
    const player = { gameId: scope.gameId, playerId: scope.playerId };
    const events = await db.transaction((sql) => makeProfile(sql, player, true));
    out.line(
      events === null
        ? 'The archive has no event of the player: there is no profile to make.'
        : `The profile counts ${countOf(events, 'event')}, as the archive does.`,
    );
  }
  return withBoardView(engines, line, (view) => {
    const sealer = createSealer(parseMasterKeys(masterKeyText(line.config(), random)), random);
    const receiptKeys = createReceiptKeys(db, sealer);
    const definitions = createDefinitionSource(db);
    const parts = healParts({ db, definitions, receiptKeys, view, clock, random });
    const rederivers =
      options.board === undefined
        ? parts.rederivers
        : parts.rederivers.filter(({ role }) => role === 'leaderboard');
    return rebuildTruthCommand(scope.isDryRun, {
      countPlayers: () => (scope.playerId === null ? countPlayers(db, scope.gameId) : Promise.resolve(1)),
      rebuild: (onProgress) =>
        rebuildTruth(scope, {
          playersAfter: (player, limit, ofGame) => playersAfter(db, player, limit, ofGame),
          heal: (gameId, players, isDryRun) =>
            healPlayers(gameId, players, { ...parts, rederivers }, isDryRun),
          clock,
          onProgress,
        }),
      out,
    });
  });
}
