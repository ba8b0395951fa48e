import type { Command } from 'commander';
import { wrongCommand } from '../../pkg/cli/program.js';
import { DEFAULT_GAME_ID } from '../../pkg/games/seed.js';
import type { CommandLine } from '../command-line.js';
import { withDatabase } from '../database.js';
import { rebuildTruthOf, type TruthAsked } from './rebuild-truth.js';
import { rebuildPlayerViews, rebuild } from './views.js';

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
    .option('--board <name>', 'of this board alone')
    .option('--player <id>', 'of this player')
    .option('--all', 'truth: of every game')
    .option('--after <player>', 'truth: go on after this player of the game')
    .option('--check', 'truth: tell what is wrong, change nothing')
    .option('--profile', 'truth of a --player: the archive is whole, make the profile from it first')
    .action(
      line.program.action((what: string, options: RebuildOptions) => {
        if (what === 'truth') {
          const scope = scopeOf(options);
          return withDatabase(line, (engines) => rebuildTruthOf(scope, engines, line));
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

function scopeOf({ game, board, player, after, all, check, profile }: RebuildOptions): TruthAsked {
  if (game === undefined && player === undefined && all !== true)
    throw wrongCommand('rebuild truth needs --game, --player or --all');
  if (after !== undefined && game === undefined) throw wrongCommand('--after goes on within a --game');
  if (profile === true && (player === undefined || check === true))
    throw wrongCommand('--profile is for one --player, and not for --check');
  return {
    gameId: game ?? (player === undefined ? null : DEFAULT_GAME_ID),
    playerId: player ?? null,
    board: board ?? null,
    isProfileAsked: profile === true,
    after: after ?? '',
    isDryRun: check === true,
  };
}
