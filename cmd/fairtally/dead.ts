import { InvalidArgumentError, type Command } from 'commander';
import { correctDead, dropDead, listDead, redriveDead, showDead } from '../../pkg/cli/dead.js';
import { readNamedFile } from '../../pkg/cli/files.js';
import { instant, someOf, wholeNumber, wrongCommand } from '../../pkg/cli/program.js';
import { reconcileCommand } from '../../pkg/cli/reconcile.js';
import type { JsonObject } from '../../pkg/contract/event.js';
import { createDefinitionSource } from '../../pkg/games/definitions/postgres.js';
import { parseStrictJson } from '../../pkg/contract/strict-json.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import { ROLES, type RoleName } from '../../pkg/kernel/roles.js';
import type { Database } from '../../pkg/postgres/port.js';
import { correctLetter, planCorrection } from '../../pkg/worker/dead-letters/correct.postgres.js';
import { dropJob, redriveJob } from '../../pkg/worker/dead-letters/jobs.js';
import {
  IDS_MAX,
  LETTER_STATES,
  type Decision,
  type LetterFilter,
  type LetterState,
} from '../../pkg/worker/dead-letters/port.js';
import {
  listLetters,
  PAGE_MAX,
  readLetter,
  tallyLetters,
} from '../../pkg/worker/dead-letters/queries.postgres.js';
import { reconcileByHand } from '../../pkg/worker/reconcile/reconcile.js';
import type { CommandLine } from '../command-line.js';
import { withDatabase } from '../database.js';
import { operatorName } from '../operator-name.js';

const ID_MAX = 2 ** 31 - 1;
const RATE_MAX = 100_000;
const RATE_DEFAULT = 500;
const DAY_MS = 24 * 3_600_000;
const RECONCILE_DAYS = 14;
const MINUTE_MS = 60_000;

/** `fairtally dead list|show|redrive|drop` and `fairtally reconcile`. */
export function describeDead(root: Command, line: CommandLine): void {
  const dead = root.command('dead').description('events that a role could not apply: look, send again, drop');
  describeList(dead.command('list'), line);
  describeShow(dead.command('show'), line);
  describeRedrive(dead.command('redrive'), line);
  describeDrop(dead.command('drop'), line);
  describeReconcile(root.command('reconcile'), line);
}

interface FilterOptions {
  readonly role?: RoleName;
  readonly game?: string;
  readonly player?: string;
  readonly reason?: string;
  readonly since?: number;
  readonly before?: number;
}

const letterId = wholeNumber(1, ID_MAX);
const letterIds = (text: string, before: number[] = []): number[] => {
  if (before.length >= IDS_MAX)
    throw new InvalidArgumentError(`At most ${String(IDS_MAX)} ids: use filters.`);
  return [...before, letterId(text)];
};

/** One of some words: a list of one, so that the word is checked like every other. */
const oneOf =
  <const Names extends readonly string[]>(...names: Names) =>
  (text: string): Names[number] => {
    const [word] = someOf(...names)(text);
    if (word === undefined || text.includes(','))
      throw new InvalidArgumentError(`It must be one of ${names.join(', ')}.`);
    return word;
  };

const withFilters = (command: Command): Command =>
  command
    .option('--role <role>', 'of this role', oneOf(...ROLES))
    .option('--game <id>', 'of this game')
    .option('--player <id>', 'of this player')
    .option('--reason <code>', 'with this reason, such as handler_error')
    .option('--since <instant>', 'last seen since', instant)
    .option('--before <instant>', 'last seen before', instant);

const filterOf = (options: FilterOptions, ids: readonly number[] = []): LetterFilter => ({
  role: options.role,
  gameId: options.game,
  playerId: options.player,
  reason: options.reason,
  sinceMs: options.since,
  beforeMs: options.before,
  ...(ids.length === 0 ? {} : { ids }),
});

interface DecisionOptions {
  readonly why: string;
  readonly by: string;
}

const withDecision = (command: Command): Command =>
  command
    .requiredOption('--why <text>', 'the reason; it is kept')
    .option('--by <name>', 'who decides', operatorName());

function decisionOf({ why, by }: DecisionOptions): Decision {
  if (why.trim() === '' || by.trim() === '')
    throw wrongCommand('give a reason with --why, and a name with --by: both are kept');
  return { actor: by, why };
}

function describeList(command: Command, line: CommandLine): void {
  const { program, out } = line;
  interface Options extends FilterOptions {
    readonly state?: LetterState;
    readonly limit: number;
    readonly beforeId?: number;
    readonly json?: true;
  }
  withFilters(command.description('show dead letters, newest first'))
    .option('--state <state>', `one of ${LETTER_STATES.join(', ')} (default: all)`, oneOf(...LETTER_STATES))
    .option('--limit <n>', 'how many at most', wholeNumber(1, PAGE_MAX), 50)
    .option('--before-id <id>', 'the page after this letter', letterId)
    .option('--json', 'print them as JSON')
    .action(
      program.action((options: Options) =>
        withDatabase(line, async ({ db }) => {
          const { limit, beforeId, state, json } = options;
          const filter = { ...filterOf(options), state };
          const letters = await listLetters(db, filter, { beforeId: beforeId ?? null, limit });
          return listDead(limit, { letters, isJson: json === true, out });
        }),
      ),
    );
}

function describeShow(command: Command, line: CommandLine): void {
  command
    .description('show everything about one letter, and what to do next')
    .argument('<id>', 'id of the letter', letterId)
    .option('--json', 'print it as JSON')
    .action(
      line.program.action((id: number, { json }: { json?: true }) =>
        withDatabase(line, async ({ db }) =>
          showDead(id, { letter: await readLetter(db, id), isJson: json === true, out: line.out }),
        ),
      ),
    );
}

interface ManyOptions extends FilterOptions, DecisionOptions {
  readonly all?: true;
  readonly yes?: true;
  readonly dryRun?: true;
}

const withMany = (command: Command): Command =>
  withDecision(withFilters(command.argument('[ids...]', 'ids of letters; else filters choose', letterIds)))
    .option('--all', 'every open letter, where neither ids nor filters are given')
    .option('--dry-run', 'only show what would happen; so it is with filters unless --yes is given')
    .option('--yes', 'do it');

/** @throws FairtallyError when the words choose nothing */
function chosen(ids: readonly number[], options: ManyOptions): { filter: LetterFilter; isDryRun: boolean } {
  const filter = filterOf(options, ids);
  const isNamed = Object.values(filter).some((value) => value !== undefined);
  if (!isNamed && options.all !== true) throw wrongCommand('name letters by id or by filters, or say --all');
  return { filter, isDryRun: options.dryRun === true || (ids.length === 0 && options.yes !== true) };
}

function describeRedrive(command: Command, line: CommandLine): void {
  const { program, out, clock } = line;
  interface Options extends ManyOptions {
    readonly rate: number;
    readonly payload?: string;
    readonly override?: true;
  }
  withMany(command.description('send letters to their roles again, each to its own alone'))
    .option('--rate <n>', 'events per second at most', wholeNumber(1, RATE_MAX), RATE_DEFAULT)
    .option('--payload <file>', 'of one letter: put an event with this payload (JSON) in its place')
    .option('--override', 'with --payload: yes, another payload than was signed')
    .action(
      program.action((ids: number[], options: Options) => {
        const decision = decisionOf(options);
        if (options.payload !== undefined)
          return correct(ids, options.payload, options.override === true, decision, line);
        const { filter, isDryRun } = chosen(ids, options);
        return withDatabase(line, ({ db }) =>
          redriveDead(
            { filter, isDryRun },
            {
              tally: () => tallyLetters(db, filter),
              redrive: (onProgress) =>
                redriveJob({ filter, decision, rate: options.rate, onProgress }, { db, clock }),
              out,
            },
          ),
        );
      }),
    );
}

async function correct(
  ids: readonly number[],
  file: string,
  isOverride: boolean,
  decision: Decision,
  line: CommandLine,
): Promise<number> {
  const { out, clock, random } = line;
  const [id] = ids;
  if (id === undefined || ids.length > 1) throw wrongCommand('--payload is of one letter: name its id');
  const payload = readPayload(file);
  return withDatabase(line, ({ db }: { db: Database }) => {
    const deps = { db, definitions: createDefinitionSource(db), clock, random };
    return correctDead(
      { payload, isOverride },
      {
        plan: (given) => planCorrection(id, given, deps),
        correct: (given) => correctLetter(id, given, decision, deps),
        out,
      },
    );
  });
}

/** As strict as the gateway. @throws FairtallyError `no_file`, `invalid_payload` */
function readPayload(file: string): JsonObject {
  const read = parseStrictJson(Buffer.from(readNamedFile(file)));
  if (!read.ok)
    throw new FairtallyError(
      'invalid_payload',
      `${file} is not JSON as events have it: ${read.code} ${read.pointer ?? ''}`,
    );
  if (typeof read.value !== 'object' || read.value === null || Array.isArray(read.value))
    throw new FairtallyError('invalid_payload', `${file} must hold one JSON object`);
  return read.value as JsonObject;
}

function describeDrop(command: Command, line: CommandLine): void {
  const { program, out } = line;
  withMany(command.description('decide that letters never take effect; they stay recorded')).action(
    program.action((ids: number[], options: ManyOptions) => {
      const decision = decisionOf(options);
      const { filter, isDryRun } = chosen(ids, options);
      return withDatabase(line, ({ db }) =>
        dropDead(
          { filter, isDryRun },
          {
            tally: () => tallyLetters(db, filter),
            drop: () => dropJob({ filter, decision }, { db }),
            out,
          },
        ),
      );
    }),
  );
}

function describeReconcile(command: Command, line: CommandLine): void {
  const { program, out, clock } = line;
  interface Options extends DecisionOptions {
    readonly game?: string;
    readonly role?: RoleName;
    readonly since?: number;
    readonly olderThanMinutes: number;
    readonly dryRun?: true;
  }
  command
    .description('send to roles what the archive has and they lack, after a database was restored')
    .option('--game <id>', 'of this game (default: of all)')
    .option(
      '--role <role>',
      'to this role (default: to all)',
      oneOf('progression', 'leaderboard', 'fairness'),
    )
    .option('--since <instant>', `archived since (default: ${String(RECONCILE_DAYS)} days ago)`, instant)
    .option('--older-than-minutes <n>', 'what is younger may be on its way', wholeNumber(0, 1_000_000), 15)
    .option('--why <text>', 'the reason; it is kept', 'reconciled by hand')
    .option('--by <name>', 'who decides', operatorName())
    .option('--dry-run', 'only count')
    .action(
      program.action((options: Options) => {
        const decision = decisionOf(options);
        return withDatabase(line, ({ db }) =>
          reconcileCommand(options.dryRun === true, {
            reconcile: (onProgress) =>
              reconcileByHand(
                {
                  roles:
                    options.role === undefined ? ROLES.filter((role) => role !== 'archive') : [options.role],
                  gameId: options.game,
                  sinceMs: options.since ?? clock.now() - RECONCILE_DAYS * DAY_MS,
                  ageMs: options.olderThanMinutes * MINUTE_MS,
                  isDryRun: options.dryRun === true,
                  decision,
                  onProgress,
                },
                { db, clock },
              ),
            out,
          }),
        );
      }),
    );
}
