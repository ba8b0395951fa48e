import { accessSync, constants, mkdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { wholeNumber } from '../../pkg/cli/program.js';
import { replayCommand } from '../../pkg/cli/replay.js';
import {
  interruption,
  KEY_OPTION,
  SECRET_OPTION,
  URL_OPTION,
  withGateway,
  type CommandLine,
  type GatewayOptions,
} from '../command-line.js';

interface ReplayOptions extends GatewayOptions {
  readonly rate?: number;
  readonly concurrency: number;
  readonly rebase?: number | 'auto';
  readonly dryRun?: true;
  readonly resume?: true;
  readonly checkpoint?: string;
}

const NOTHING_IS_SIGNED = '-';
const RATE_MAX = 1_000_000;
const CONCURRENCY_MAX = 64;
const REBASE_MAX_DAYS = 36_500;

/** Makes a command the one that feeds recordings through the gateway. */
export function describeReplay(command: Command, line: CommandLine): Command {
  return command
    .description("feed recorded events (NDJSON) through the gateway; one player's events stay in order")
    .argument('<file...>', 'recordings, in this order')
    .option(...URL_OPTION)
    .option(...KEY_OPTION)
    .option(...SECRET_OPTION)
    .option(
      '--rate <events>',
      'events per second at most (default: as many as the gateway takes)',
      wholeNumber(1, RATE_MAX),
    )
    .option('--concurrency <n>', 'requests under way at once', wholeNumber(1, CONCURRENCY_MAX), 8)
    .option('--rebase <days>', 'move every time by whole days; auto: to end within the last day', rebase)
    .option(
      '--dry-run',
      'only read the files and say what would be sent; the gateway is not asked what it would take',
    )
    .option('--resume', 'go on where the last run stopped')
    .option('--checkpoint <file>', 'where progress is kept (default: beside the first file, or in DATA_DIR)')
    .action(
      line.program.action((files: string[], options: ReplayOptions) =>
        withGateway(
          options.dryRun === true ? { secret: NOTHING_IS_SIGNED, ...options } : options,
          line,
          options.concurrency,
          async (client, url) => {
            // A replay outlasts minutes without a gateway; one that never was there is told at once.
            if (options.dryRun !== true) await client.send('GET', '/healthz');
            return replayCommand(
              {
                files,
                url,
                rate: options.rate ?? null,
                concurrency: options.concurrency,
                rebase: options.rebase ?? null,
                isDryRun: options.dryRun === true,
                isResume: options.resume === true,
                checkpointPath: options.checkpoint ?? defaultCheckpoint(files, line),
              },
              { client, clock: line.clock, random: line.random, out: line.out, signal: interruption() },
            );
          },
        ),
      ),
    );
}

function rebase(text: string): number | 'auto' {
  if (text === 'auto') return 'auto';
  try {
    return wholeNumber(-REBASE_MAX_DAYS, REBASE_MAX_DAYS)(text);
  } catch {
    throw new InvalidArgumentError('It must be a whole number of days, or auto.');
  }
}

function defaultCheckpoint(files: readonly string[], { config }: CommandLine): string {
  const first = resolve(files[0] ?? '');
  const name = `${basename(first)}.replay-checkpoint.json`;
  try {
    accessSync(dirname(first), constants.W_OK);
    return join(dirname(first), name);
  } catch {
    const folder = join(config().storage.dataDir, 'replay'); // recordings may stand in a folder that is only read
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return join(folder, name);
  }
}
