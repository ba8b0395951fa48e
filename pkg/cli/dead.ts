import { SingleBar } from 'cli-progress';
import type { JsonObject } from '../contract/event.js';
import type { Letter, LetterFilter, LetterItem } from '../worker/dead-letters/port.js';
import type { Correction } from '../worker/dead-letters/correct.postgres.js';
import type { DropResult, RedriveProgress, RedriveResult } from '../worker/dead-letters/jobs.js';
import type { LetterTally } from '../worker/dead-letters/queries.postgres.js';
import { FairtallyError } from '../kernel/errors.js';
import { jsonLine, plain, type Output } from './output.js';
import { table } from './table.js';

/** Shows a page of letters, newest first, and how to see the next. */
export async function listDead(
  limit: number,
  { letters, isJson, out }: { letters: readonly LetterItem[]; isJson: boolean; out: Output },
): Promise<number> {
  if (isJson) out.line(jsonLine(letters));
  else if (letters.length === 0) out.line('No dead letters.');
  else {
    const head = [
      'id',
      'role',
      'game',
      'player',
      'event',
      'reason',
      'attempts',
      'first seen',
      'last seen',
      'state',
    ];
    out.line(table(head, letters.map(rowOf)));
    const last = letters.at(-1);
    if (letters.length === limit && last !== undefined)
      out.line(`There may be more: add --before-id ${String(last.id)}`);
  }
  return 0;
}

const rowOf = (letter: LetterItem): (string | number)[] => [
  letter.id,
  letter.role,
  cell(letter.gameId),
  cell(letter.playerId),
  cell(eventOf(letter)),
  letter.reason,
  letter.attempts,
  timeOf(letter.firstSeenMs),
  timeOf(letter.lastSeenMs),
  letter.state,
];

const eventOf = ({ eventType, eventId }: LetterItem): string =>
  eventId === null ? '(unreadable)' : `${plain(eventType ?? '')} ${plain(eventId)}`;

const timeOf = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const CELL_MAX = 40;

/** A cell of a table: names may be long, and `dead show` has them whole. */
const cell = (text: string): string => {
  const shown = plain(text);
  return shown.length <= CELL_MAX ? shown : `${shown.slice(0, CELL_MAX - 1)}…`;
};

/** Shows everything about one letter, and what can be done. @throws FairtallyError `letter_unknown` */
export async function showDead(
  id: number,
  { letter, isJson, out }: { letter: Letter | null; isJson: boolean; out: Output },
): Promise<number> {
  if (letter === null) throw new FairtallyError('letter_unknown', `there is no dead letter ${String(id)}`);
  if (isJson) {
    out.line(jsonLine(letter));
    return 0;
  }
  const facts: readonly (readonly [string, string | number | null])[] = [
    ['letter', letter.id],
    ['state', letter.state],
    ['role', letter.role],
    ['game', letter.gameId],
    ['player', letter.playerId],
    ['event', eventOf(letter)],
    ['reason', letter.reason],
    ['detail', letter.detail],
    ['attempts', letter.attempts],
    ['first seen', timeOf(letter.firstSeenMs)],
    ['last seen', timeOf(letter.lastSeenMs)],
    ['position', letter.position],
    ['identity', letter.identity],
    ['content hash', letter.contentHash],
    ['code version', letter.codeVersion],
    ['decision', decisionOf(letter)],
    ['closed', letter.closedMs === null ? null : `${timeOf(letter.closedMs)} by ${letter.closedBy ?? '?'}`],
    ['why', letter.closedWhy],
    ['corrected by', letter.correctedBy],
    ['headers', Object.keys(letter.headers).length === 0 ? null : JSON.stringify(letter.headers)],
  ];
  for (const [name, value] of facts)
    if (value !== null && value !== '') out.line(`${name.padEnd(13)} ${plain(String(value))}`);
  out.line('body');
  for (const line of prettyBody(letter.body).split('\n')) out.line(`  ${plain(line)}`);
  for (const line of nextSteps(letter)) out.line(line);
  return 0;
}

const decisionOf = ({ action }: Letter): string | null =>
  action === null ? null : `${action.action} by ${action.actor} at ${timeOf(action.madeMs)}: ${action.why}`;

function prettyBody(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body; // what cannot be read is shown as it came
  }
}

function nextSteps({ id, state, identity, reason }: Letter): string[] {
  const name = String(id);
  const correct = `  fairtally dead redrive ${name} --payload file.json --override --why "..."   another payload under a new id`;
  switch (state) {
    case 'open':
      return [
        reason === 'event_id_conflict'
          ? 'What next (another event with this id came first: while that one stands this one takes no effect):'
          : 'What next, when the cause is mended:',
        `  fairtally dead redrive ${name} --why "..."   send it to its role again`,
        ...(identity === null ? [] : [correct]),
        `  fairtally dead drop ${name} --why "..."      it shall never take effect`,
      ];
    case 'redriven':
      return [
        'It is on its way to its role: a worker of the role takes it.',
        ...(identity === null
          ? []
          : [`  fairtally dead drop ${name} --why "..."      take it back: it shall never take effect`]),
      ];
    default:
      return ['Nothing is left to do.'];
  }
}

/** A plan in numbers: by role and reason, what would happen to the letters that fit. */
export function describePlan(
  verb: 'sent again' | 'dropped',
  tallies: readonly LetterTally[],
  out: Output,
): void {
  const rows = tallies.map(({ role, reason, state, letters }) => [
    role,
    reason,
    state,
    letters,
    state === 'open' ? verb : 'skipped',
  ]);
  if (rows.length === 0) out.line('No dead letter fits.');
  else out.line(table(['role', 'reason', 'state', 'letters', 'would be'], rows));
}

export interface RedriveCommand {
  readonly filter: LetterFilter;
  /** Only shows what would happen. */
  readonly isDryRun: boolean;
}

export interface RedriveDeps {
  readonly tally: () => Promise<readonly LetterTally[]>;
  readonly redrive: (onProgress: (progress: RedriveProgress) => void) => Promise<RedriveResult>;
  readonly out: Output;
}

/** Named letters are decided about unless a dry run is asked for; what filters choose only with --yes. */
const insteadOf = ({ ids }: LetterFilter): string =>
  ids === undefined ? 'Add --yes' : 'Leave out --dry-run';

/** Nothing is recorded of a decision about nothing. */
function nothingFits(out: Output): number {
  out.line('No dead letter fits: nothing was done.');
  return 1;
}

/** All that are named were decided about before. */
function nothingOpen(out: Output): number {
  out.line('No such dead letter is open: nothing was done.');
  return 1;
}

const unknownText = (count: number): string => (count > 0 ? `, ${String(count)} unknown` : '');

/** Sends letters again, or shows what would be sent. 1 when some failed again, or when no worker takes them. */
export async function redriveDead({ isDryRun, filter }: RedriveCommand, deps: RedriveDeps): Promise<number> {
  const { out } = deps;
  const tallies = await deps.tally();
  const fitting = sumOf(tallies, () => true);
  const open = sumOf(tallies, ({ state }) => state === 'open');
  if (isDryRun) {
    describePlan('sent again', tallies, out);
    if (open > 0) out.line(`Dry run: nothing was sent. ${insteadOf(filter)} to send ${String(open)} again.`);
    return 0;
  }
  if (fitting === 0) return nothingFits(out);
  if (filter.ids !== undefined && open === 0) return nothingOpen(out);
  const bar = out.isTerminal && open > 0 ? progressBar(out, open) : null;
  let result: RedriveResult;
  try {
    result = await deps.redrive(({ done, skipped, failed }) =>
      bar?.update(Math.min(open, done + skipped + failed)),
    );
  } finally {
    bar?.stop();
  }
  const { done, failed, pending, sent, isStalled, actionId } = result;
  const unknown = filter.ids === undefined ? 0 : filter.ids.length - fitting;
  // What was not open any more, and what turned out to have taken effect or to be on its way.
  const skipped = result.skipped + (result.looked - sent) + (filter.ids === undefined ? 0 : fitting - open);
  const counts = [`${String(done)} done`, `${String(skipped)} skipped`, `${String(failed)} failed`];
  out.line(`Action ${String(actionId)}: ${counts.join(', ')}${unknownText(unknown)}.`);
  if (failed > 0) out.line('What failed is open again: `fairtally dead list --state open` shows why.');
  if (isStalled) {
    out.line(
      `${String(pending)} wait for a worker of their role: they go on by themselves when one runs. Run this again for the rest.`,
    );
  }
  return failed > 0 || unknown > 0 || isStalled ? 1 : 0;
}

const sumOf = (tallies: readonly LetterTally[], fits: (tally: LetterTally) => boolean): number =>
  tallies.filter(fits).reduce((sum, { letters }) => sum + letters, 0);

function progressBar(out: Output, total: number): SingleBar {
  const bar = new SingleBar({
    stream: out.stream,
    format: 'redrive [{bar}] {value}/{total} letters, {eta_formatted} left',
    barCompleteChar: '=',
    barIncompleteChar: ' ',
  });
  bar.start(total, 0);
  return bar;
}

export interface DropDeps {
  readonly tally: () => Promise<readonly LetterTally[]>;
  readonly drop: () => Promise<DropResult>;
  readonly out: Output;
}

/** Drops letters for good, or shows what would be dropped. 1 when nothing fits, or when some must be kept. */
export async function dropDead(
  { isDryRun, filter }: RedriveCommand,
  { tally, drop, out }: DropDeps,
): Promise<number> {
  const tallies = await tally();
  if (isDryRun) {
    describePlan('dropped', tallies, out);
    const open = sumOf(tallies, ({ state }) => state === 'open');
    if (open > 0) out.line(`Dry run: nothing was dropped. ${insteadOf(filter)} to drop ${String(open)}.`);
    return 0;
  }
  const fitting = sumOf(tallies, () => true);
  if (fitting === 0) return nothingFits(out);
  const isNamed = filter.ids !== undefined;
  if (isNamed && sumOf(tallies, ({ state }) => state === 'open' || state === 'redriven') === 0)
    return nothingOpen(out);
  const { dropped, applied, looked, kept } = await drop();
  const skipped = fitting - dropped;
  const unknown = filter.ids === undefined ? 0 : filter.ids.length - fitting;
  const took = applied === 0 ? '' : ` (${String(applied)} of them had taken effect)`;
  out.line(
    `${String(dropped)} dropped, ${String(Math.max(skipped, looked - dropped))} skipped${took}${unknownText(unknown)}.`,
  );
  if (kept === 0) return unknown > 0 ? 1 : 0;
  out.line(
    `${String(kept)} of the archive stay open: other roles have counted their events, so the archive must have them. Redrive them.`,
  );
  return 1;
}

export interface CorrectDeps {
  readonly plan: (payload: JsonObject) => Promise<Omit<Correction, 'actionId'>>;
  readonly correct: (payload: JsonObject) => Promise<Correction>;
  readonly out: Output;
}

/** Puts another payload in the place of a dead one, or, without the override, shows what that would do and refuses. */
export async function correctDead(
  { payload, isOverride }: { readonly payload: JsonObject; readonly isOverride: boolean },
  { plan, correct, out }: CorrectDeps,
): Promise<number> {
  if (!isOverride) {
    const { role, original } = await plan(payload);
    out.line(
      `The event ${original.id} (${original.type} of ${plain(original.playerId)}) would never take effect in ${role};`,
    );
    out.line(`an event with a new id and this payload would, in ${role} and the archive alone:`);
    for (const line of JSON.stringify(payload, null, 2).split('\n')) out.line(`  ${plain(line)}`);
    out.line(
      'Nothing was changed. A corrected payload is not what was signed: add --override to put it in its place.',
    );
    return 1;
  }
  const { role, original, corrected, actionId } = await correct(payload);
  out.line(
    `Action ${String(actionId)}: ${corrected.id} takes the place of ${original.id} in ${role} and is on its way.`,
  );
  return 0;
}
