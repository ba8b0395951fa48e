import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { parseTimestamp } from '../contract/timestamp.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ConfigError } from '../runtime/config.js';

/** Exit codes: 0 done, 1 failed or something differs or was not found, and these: 2 the words of the command are wrong. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** EX_CONFIG of sysexits.h: starting again would not help. */
export const EXIT_CONFIG = 78;
/** 128 + SIGINT, as shells have it. */
export const EXIT_INTERRUPTED = 130;

const WRONG_COMMAND = 'wrong_command';

/** The words of a command fit each one by one, and not together. */
export const wrongCommand = (message: string): FairtallyError => new FairtallyError(WRONG_COMMAND, message);

/** A tree of commands whose actions answer exit codes. */
export interface Program {
  readonly root: Command;
  /** Makes an action of a function that answers an exit code. */
  action<Args extends unknown[]>(work: (...args: Args) => Promise<number>): (...args: Args) => Promise<void>;
  /** Runs the command that the words name, and tells what went wrong on `stderr`. Answers the exit code. Never rejects. */
  run(words: readonly string[]): Promise<number>;
}

export interface ProgramOptions {
  readonly name: string;
  readonly description: string;
  /** What --version tells. */
  readonly version: string;
  readonly stderr: NodeJS.WritableStream;
  /** Whether stacks are shown. Asked when something went wrong. */
  readonly isDebug: () => boolean;
}

export function createProgram({ name, description, version, stderr, isDebug }: ProgramOptions): Program {
  let exitCode = 0;
  const root = new Command(name)
    .description(description)
    .version(version)
    .exitOverride()
    .showHelpAfterError('(add --help for what it takes)')
    .configureOutput({ writeErr: (text) => void stderr.write(text) });
  return {
    root,
    action:
      (work) =>
      async (...args) => {
        exitCode = await work(...args);
      },
    async run(words) {
      try {
        await root.parseAsync([...words], { from: 'user' });
        return exitCode;
      } catch (error) {
        // Commander has said what is wrong itself.
        if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
        for (const text of describeFailure(error, isDebug())) stderr.write(`${text}\n`);
        if (error instanceof ConfigError) return EXIT_CONFIG;
        return error instanceof FairtallyError && error.code === WRONG_COMMAND ? EXIT_USAGE : EXIT_FAILED;
      }
    },
  };
}

/** What a person reads of an error: its own sentence; the stack only when asked for. */
export function describeFailure(error: unknown, isDebug: boolean): string[] {
  const message = error instanceof Error ? error.message : String(error);
  const isOurs = error instanceof FairtallyError || isOfTheSystem(error);
  const lines = [`fairtally: ${isOurs ? message : `a fault of ours: ${message}`}`];
  if (error instanceof OutageError && error.cause instanceof Error)
    lines.push(`because: ${error.cause.name}: ${error.cause.message}`);
  if (isDebug && error instanceof Error) lines.push(error.stack ?? '', ...causesOf(error));
  else if (!isOurs) lines.push('LOG_LEVEL=debug shows where.');
  return lines;
}

/** A file that is not there, a folder that may not be written: Node says it well enough. */
const isOfTheSystem = (error: unknown): boolean => error instanceof Error && 'syscall' in error;

const causesOf = (error: Error): string[] =>
  error.cause instanceof Error ? [`caused by: ${error.cause.stack ?? error.cause.message}`] : [];

/** Readers of option values. Each throws what makes Commander say that the option is wrong. */
export const wholeNumber =
  (min: number, max: number) =>
  (text: string): number => {
    const value = /^-?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${String(min)} to ${String(max)}.`);
  };

export function instant(text: string): number {
  const ms = parseTimestamp(text);
  if (ms === null) throw new InvalidArgumentError('It must be an instant such as 2026-11-20T00:00:00Z.');
  return ms;
}

export const someOf =
  <const Names extends readonly string[]>(...names: Names) =>
  (text: string): Names[number][] => {
    const words = text.split(',');
    const found = names.filter((name) => words.includes(name));
    if (found.length === words.length) return found;
    throw new InvalidArgumentError(`It must be some of ${names.join(',')}, separated by commas.`);
  };

export function day(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text) && parseTimestamp(`${text}T00:00:00Z`) !== null) return text;
  throw new InvalidArgumentError('It must be a day such as 2026-11-20.');
}
