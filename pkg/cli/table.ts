import Table from 'cli-table3';

/** A plain table for people: a head, rows of text, no colour. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const drawn = new Table({ head: [...head], style: { head: [], border: [], compact: true } });
  for (const row of rows) drawn.push(row.map(String));
  return drawn.toString();
}
