import type { Running, Session } from './session.js';

/** What a statement does, given its parameters ($1 first), and the rows that it answers. */
export type Meaning = (session: Session, values: readonly unknown[]) => Running<object[]>;

export interface Taught {
  /** File and constant where production keeps the text. */
  readonly name: string;
  /** Of the text that this meaning was written for. */
  readonly fingerprint: string;
  readonly meaning: Meaning;
}

/** A key of several columns as one text. U+0000 stands in no column. */
export function keyText(...parts: readonly unknown[]): string {
  let text = String(parts[0]);
  for (let i = 1; i < parts.length; i += 1) text += `\u0000${String(parts[i])}`;
  return text;
}

/** The parameters as arrays; `unnest` reads them side by side. */
export const columns = (values: readonly unknown[]): readonly (readonly never[])[] =>
  values as readonly (readonly never[])[];

/** The rows of `unnest(...)`, by the names given. */
export function unnest<Name extends string>(
  values: readonly unknown[],
  ...names: readonly Name[]
): Record<Name, never>[] {
  const arrays = columns(values);
  const length = arrays[0]?.length ?? 0;
  const rows: Record<Name, never>[] = [];
  for (let i = 0; i < length; i += 1) {
    const row = {} as Record<Name, never>;
    names.forEach((name, column) => (row[name] = arrays[column]?.[i] as never));
    rows.push(row);
  }
  return rows;
}

/** Byte order, as COLLATE "C" has it; our texts are ASCII. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export const orderedBy = <T>(items: readonly T[], textOf: (item: T) => string): T[] =>
  items.length < 2
    ? [...items]
    : items
        .map((item) => ({ item, text: textOf(item) }))
        .sort((a, b) => byText(a.text, b.text))
        .map(({ item }) => item);
