import { createHash } from 'node:crypto';
import { archiveStatements } from './archive-statements.js';
import { boardStatements } from './board-statements.js';
import { fairnessStatements } from './fairness-statements.js';
import { guardStatements } from './guard-statements.js';
import { letterStatements } from './letter-statements.js';
import { progressionStatements } from './progression-statements.js';
import type { Meaning, Taught } from './meaning.js';
import { reconcileStatements } from './reconcile-statements.js';
import { recountStatements } from './recount-statements.js';
import { rederiveStatements } from './rederive-statements.js';
import { remakeStatements } from './remake-statements.js';
import { resubmissionStatements } from './resubmission-statements.js';
import { snapshotStatements } from './snapshot-statements.js';
import { truthStatements } from './truth-statements.js';
import { workerStatements } from './worker-statements.js';

/** Every statement that the simulated store understands. */
export const TAUGHT: readonly Taught[] = [
  ...workerStatements,
  ...archiveStatements,
  ...progressionStatements,
  ...boardStatements,
  ...truthStatements,
  ...snapshotStatements,
  ...fairnessStatements,
  ...letterStatements,
  ...resubmissionStatements,
  ...reconcileStatements,
  ...guardStatements,
  ...rederiveStatements,
  ...remakeStatements,
  ...recountStatements,
];

const byFingerprint = new Map(TAUGHT.map((taught) => [taught.fingerprint, taught]));
const byText = new Map<string, Taught>();

/** Twelve hex digits over a statement's words, whatever the spaces between them. */
export const fingerprintOf = (text: string): string =>
  createHash('sha256').update(text.trim().replace(/\s+/g, ' ')).digest('hex').slice(0, 12);

/**
 * What a statement of production does to the tables.
 *
 * @param doubles other meanings, by name
 * @throws when nobody has taught it
 */
export function meaningOf(text: string, doubles: Readonly<Record<string, Meaning>> = {}): Meaning {
  let taught = byText.get(text);
  if (taught === undefined) {
    taught = byFingerprint.get(fingerprintOf(text));
    if (taught === undefined) throw new UntaughtStatement(text);
    taught = { ...taught, meaning: readingArrays(text, taught.meaning) };
    byText.set(text, taught);
  }
  const double = doubles[taught.name];
  return double === undefined ? taught.meaning : readingArrays(text, double);
}

/** Parameters of an array type may come as PostgreSQL writes arrays (pkg/postgres/plain-array.ts): read them as such. */
function readingArrays(text: string, meaning: Meaning): Meaning {
  const arrays = [...text.matchAll(/\$(\d+)::(\w+)(?: precision)?\[\]/g)].map(
    ([, place, type = '']) => [Number(place) - 1, NUMBERS.has(type)] as const,
  );
  return (session, values) => {
    let read: unknown[] | null = null;
    for (const [place, isNumeric] of arrays) {
      const value = values[place];
      if (typeof value !== 'string') continue;
      const texts = value === '{}' ? [] : value.slice(1, -1).split(',');
      read ??= [...values];
      read[place] = isNumeric ? texts.map(Number) : texts;
    }
    return meaning(session, read ?? values);
  };
}

const NUMBERS: ReadonlySet<string> = new Set(['smallint', 'int', 'bigint', 'float8', 'double']);

/**
 * A statement was changed, or is new. Its meaning is not guessed: somebody compares the text with what stands in
 * `*-statements.ts` here, changes the meaning if it is another, and writes the new fingerprint. The `.pg` test beside
 * tells whether PostgreSQL agrees.
 */
export class UntaughtStatement extends Error {
  override readonly name = 'UntaughtStatement';

  constructor(text: string) {
    super(
      `the simulated store does not know this statement; fingerprint ${fingerprintOf(text)}. Compare its text with the ` +
        `meaning in pkg/testkit/sim/store/*-statements.ts, change the meaning where it differs, and set the fingerprint ` +
        `there. The text:\n${text.trim()}`,
    );
  }
}
