/** What a spreadsheet takes for the beginning of a formula, and what it may strip before it looks for one. Full-width forms are read alike. */
const RUNS = /^(?:[\t\r\n]|[\s\p{Cf}]*[=+\-@＝＋－＠])/u;

/** A cell of text, always in quotes (RFC 4180). Text that a spreadsheet would run begins with an apostrophe instead. */
export const textCell = (text: string): string =>
  `"${(RUNS.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

/** A row as it is written: numbers as they are, text as `textCell`. */
export const csvRow = (cells: readonly (string | number)[]): string =>
  `${cells.map((cell) => (typeof cell === 'number' ? String(cell) : textCell(cell))).join(',')}\r\n`;
