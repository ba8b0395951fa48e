import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isMet, type Figure } from './figure.js';

export interface Report {
  readonly machine: Readonly<Record<string, string>>;
  readonly seconds: number;
  readonly figures: readonly Figure[];
}

/** The report as Markdown: the machine, then one line per figure. */
export function markdownOf({ machine, seconds, figures }: Report): string {
  const rows = [
    '| What | Measured | Limit of the same run | Ratio | Goal | |',
    '| --- | --- | --- | --- | --- | --- |',
    ...figures.map(
      (figure) =>
        `| ${figure.name} | ${figure.measured} | ${figure.limit} | ${ratioOf(figure)} | ${goalOf(figure)} | ${verdictOf(figure)} |`,
    ),
  ];
  const facts = Object.entries(machine).map(([name, value]) => `- ${name}: ${value}`);
  const notes = figures.flatMap(({ name, note }) => (note === undefined ? [] : [`- ${name}: ${note}.`]));
  return [
    ...facts,
    `- Duration: ${seconds.toFixed(0)} s`,
    '',
    ...rows,
    '',
    'Beside the figures:',
    '',
    ...notes,
    '',
  ].join('\n');
}

const ratioOf = ({ value, goal }: Figure): string =>
  goal?.kind === 'atMost' || Number.isNaN(value) || value > 20 ? '' : value.toFixed(2);
const goalOf = ({ goal }: Figure): string =>
  goal === null
    ? ''
    : `${goal.kind === 'atLeast' ? 'at least' : 'at most'} ${String(goal.value)}${goal.unit === '' ? '' : ` ${goal.unit}`}`;
const verdictOf = (figure: Figure): string =>
  ({ true: 'met', false: '**missed**', null: '' })[String(isMet(figure)) as 'true'];

export function writeJson(path: string, report: Report): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
}

const [BEGIN, END] = ['<!-- results -->', '<!-- end of results -->'];

/** Replaces what stands between the two marks of docs/benchmarks.md. @throws Error when the marks are gone */
export function writeDocument(root: string, report: Report): void {
  const path = join(root, 'docs/benchmarks.md');
  const text = readFileSync(path, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from === -1 || to < from) throw new Error('docs/benchmarks.md has lost its marks');
  writeFileSync(path, `${text.slice(0, from + BEGIN.length)}\n\n${markdownOf(report)}\n${text.slice(to)}`);
}
