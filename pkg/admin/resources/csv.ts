/**
 * Before what a spreadsheet takes for the beginning of a formula, and what it may strip before it looks for one. Full-width forms
 * are read alike. Where its cells are parted by `;` or tabs it takes no quote of ours for one, and each `;`, tab and line end
 * within a text begins a cell.
 */
const RUNS = /^(?=[\t\r\n])|(?<=^|[;\t\r\n])(?=[\s\p{Cf}"]*[=+\-@＝＋－＠])/gu;

/** A cell of text, always in quotes (RFC 4180). What a spreadsheet would run begins with an apostrophe instead. */
export const textCell = (text: string): string => `"${text.replace(RUNS, "'").replaceAll('"', '""')}"`;

/** A row as it is written: numbers as they are, text as `textCell`. */
export const csvRow = (cells: readonly (string | number)[]): string =>
  `${cells.map((cell) => (typeof cell === 'number' ? String(cell) : textCell(cell))).join(',')}\r\n`;
