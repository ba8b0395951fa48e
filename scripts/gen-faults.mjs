// docs/faults.md: what a user sees when something goes wrong, as the tests that hold it say in their titles.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TARGET = 'docs/faults.md';
const TITLE = /(['"`])rows? (\d+(?:, \d+| and \d+)*): (.*?)\1/g;
const HEAD = `# Bad input and faults

What a user sees when something goes wrong. Each line is the title of a test that holds it; the rows are numbered so that a fault
can be spoken of. Generated from the tests by \`npm run gen:faults\`.

| row | what holds | test |
| --- | --- | --- |
`;

/** Titles of test.each hold places for values (%s, %.20s, %#, $name): a reader sees that something stands there. */
const PLACE = /%(?:\.\d+)?[sdifjopc#$]|\$[a-zA-Z_]\w*/g;
const readable = (title) => title.replace(PLACE, '…').replaceAll('|', '\\|');

const isTest = (name) => name.endsWith('.test.ts') || name === 'contract.ts';
const files = ['cmd', 'pkg', 'sample_events', 'web/e2e'].flatMap((folder) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => isTest(name.split('/').pop()))
    .map((name) => join(folder, name)),
);

const lines = files.flatMap((file) =>
  [...readFileSync(file, 'utf8').matchAll(TITLE)].flatMap(([, , rows, title]) =>
    rows.split(/, | and /).map((row) => ({ row: Number(row), title: readable(title), file })),
  ),
);
const byRow = (a, b) =>
  a.row - b.row || (a.file < b.file ? -1 : a.file > b.file ? 1 : a.title < b.title ? -1 : 1);
const unique = new Map(lines.map((line) => [`${line.row} ${line.file} ${line.title}`, line]));
const text =
  HEAD +
  [...unique.values()]
    .sort(byRow)
    .map(({ row, title, file }) => `| ${row} | ${title} | [${file.split('/').pop()}](../${file}) |\n`)
    .join('');

if (!process.argv.includes('--check')) writeFileSync(TARGET, text);
else if (readFileSync(TARGET, 'utf8') !== text) {
  console.error(`${TARGET} is not what the tests say: npm run gen:faults`);
  process.exitCode = 1;
}
