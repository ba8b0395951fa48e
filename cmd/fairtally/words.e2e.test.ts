import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from '@jest/globals';
import { built } from '../../pkg/testkit/processes.js';

/** 0 is fine, 1 failed or found something, 2 is a wrong command line: of every command, before it reaches for anything. */

interface Leaf {
  readonly words: readonly string[];
  /** Of its arguments, how many must be there, how many may, and whether there is no end. */
  readonly needed: number;
  readonly arguments: number;
  readonly isEndless: boolean;
}
interface Ran {
  readonly words: readonly string[];
  readonly code: number;
  readonly told: string;
}

/** One process asks the whole tree: the commands themselves, and what each answers to some words. */
const SCRIPT = `
const { composeFairtally } = await import(process.argv[1]);
const print = process.stdout.write.bind(process.stdout);
let told = '';
process.stdout.write = process.stderr.write = (text) => { told += String(text); return true; };
const leavesOf = (command, words) => command.commands.length > 0
  ? command.commands.flatMap((child) => leavesOf(child, [...words, child.name()]))
  : [{ words, needed: command.registeredArguments.filter(({ required }) => required).length,
       arguments: command.registeredArguments.length,
       isEndless: command.registeredArguments.some(({ variadic }) => variadic) }];
const ran = [];
for (const words of JSON.parse(process.argv[2])) {
  told = '';
  ran.push({ words, code: await composeFairtally().program.run(words), told });
}
print(JSON.stringify({ leaves: leavesOf(composeFairtally().program.root, []), ran }));
`;

async function ask(lines: readonly (readonly string[])[]): Promise<{ leaves: Leaf[]; ran: Ran[] }> {
  const words = [
    '--input-type=module',
    '-e',
    SCRIPT,
    built('cmd/fairtally/compose.js'),
    JSON.stringify(lines),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, words, {
    env: { PATH: process.env['PATH'] },
  });
  return JSON.parse(stdout) as { leaves: Leaf[]; ran: Ran[] };
}

let leaves: Leaf[];
beforeAll(async () => {
  ({ leaves } = await ask([]));
});

const wrong = async (lines: readonly (readonly string[])[]): Promise<Ran[]> =>
  (await ask(lines)).ran.filter(({ code, told }) => code !== 2 || told === '');

test('every command answers 0 to --help', async () => {
  expect(leaves.length).toBeGreaterThan(20);
  const { ran } = await ask(leaves.map(({ words }) => [...words, '--help']));
  expect(ran.filter(({ code }) => code !== 0)).toEqual([]);
});

test('every command answers 2 to an option that it does not have, to a word too few and to one too many', async () => {
  const groups = [
    ...new Set(leaves.filter(({ words }) => words.length > 1).map(({ words }) => words[0] ?? '')),
  ];
  expect(
    await wrong([
      [],
      ['nonsense'],
      ...groups.flatMap((group) => [[group], [group, 'nonsense']]),
      ...leaves.map(({ words }) => [...words, '--no-such-option']),
      ...leaves.filter(({ needed }) => needed > 0).map(({ words }) => words),
      ...leaves
        .filter(({ isEndless }) => !isEndless)
        .map((leaf) => [...leaf.words, ...Array<string>(leaf.arguments).fill('1'), 'more']),
    ]),
  ).toEqual([]);
});

const WRONG = [
  'rebuild nonsense',
  'rebuild views --check',
  'rebuild --after p-1',
  'rebuild truth',
  'rebuild truth --after p-1 --all',
  'dead redrive --why mended',
  'dead drop --why mended',
  'dead drop 0 --why mended',
  'dead drop 1',
  'dead drop 1 --why  ',
  'dead redrive 1 2 --why x --payload file.json',
  'dead list --role nobody',
  'dead list --state shut',
  'reconcile --why  ',
  'reconcile --role archive',
  'keys create --scopes everything',
  'keys create --trust nobody',
  'keys retire k --at tomorrow',
  'games create g --floor 2027-02-29',
  'definition plan file.yaml --from now',
  'findings --limit 0',
  'bus rewind',
  'bus rewind --to 2026-11-20T00:00:00Z --roles nobody',
  'demo crash --seconds 1',
  'replay file --rebase some',
  'replay file --key other',
  'send progression deltaXp --secret s',
  'send progression a=1 a=2 --secret s',
  'send progression --key other',
];

test('every command answers 2 to words that do not fit together, and says why', async () => {
  expect(await wrong(WRONG.map((line) => line.split(' ')))).toEqual([]);
});

test('a file that is not there is a failure, 1', async () => {
  const { ran } = await ask([['dead', 'redrive', '1', '--why', 'x', '--payload', '/nowhere/payload.json']]);
  expect(ran).toMatchObject([{ code: 1 }]);
});
