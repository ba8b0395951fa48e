import { expect, test } from '@jest/globals';
import { csvRow, textCell } from './csv.js';

test.each([
  ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
  ['+1', `"'+1"`],
  ['-1', `"'-1"`],
  ['@SUM(A1)', `"'@SUM(A1)"`],
  ['\t=1', `"'\t'=1"`],
  ['\r=1', `"'\r'=1"`],
  ['\n=1', `"'\n'=1"`],
  ['＝1', `"'＝1"`],
  [' =1', `"' =1"`],
  ['  \t+1', `"'  \t'+1"`],
  ['\u00a0@A1', `"'\u00a0@A1"`],
  ['\u200b-1', `"'\u200b-1"`],
])('row 71: the text %j of a player is no formula in a spreadsheet', (text, cell) => {
  expect(textCell(text)).toBe(cell);
});

test.each([
  ['a;=1+1;', `"a;'=1+1;"`],
  ['a; =1', `"a;' =1"`],
  ['a;"=1+1;', `"a;'""=1+1;"`],
  ['a\t@A1', `"a\t'@A1"`],
  ['a\r\n-1', `"a\r'\n'-1"`],
  ['a;b-c; d=e', '"a;b-c; d=e"'],
])(
  'row 71: the text %j of a player is no formula where cells are parted by semicolons or tabs',
  (text, cell) => {
    expect(textCell(text)).toBe(cell);
  },
);

test('row 71: quotes, commas and line ends of a player stay inside their cell', () => {
  expect(csvRow([1, 'a","=1+1', -5, 'two\nlines', '<img src=x onerror=alert(1)>'])).toBe(
    `1,"a"",""=1+1",-5,"two\nlines","<img src=x onerror=alert(1)>"\r\n`,
  );
});
