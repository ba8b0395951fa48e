import { readdirSync, readFileSync } from 'node:fs';
import type { JsonObject } from '../contract/event.js';

/**
 * Messages as builds have put them on a bus, one file per envelope version, one body per line. A file is only ever added
 * to: what stands in it may still be on somebody's bus, or in a dead letter.
 */
const FOLDER = new URL('../contract/golden/', import.meta.url);
const FILE = /^envelope-v(\d+)\.jsonl$/;

export const GOLDEN_VERSIONS: readonly number[] = readdirSync(FOLDER)
  .map((name) => Number(FILE.exec(name)?.[1]))
  .sort((a, b) => a - b);

export const goldenBodies = (version: number): string[] =>
  readFileSync(new URL(`envelope-v${String(version)}.jsonl`, FOLDER), 'utf8')
    .split('\n')
    .filter((line) => line !== '');

/** The message as a later build may write it within its envelope version: more fields, before and behind, of any kind. */
export function ofALaterBuild(body: string): string {
  const event = JSON.parse(body) as JsonObject & { readonly context?: JsonObject };
  const more = { region: 'eu', ranks: [1, { a: null }], of: { players: 2 }, isNew: true };
  const { v, ...rest } = event;
  return JSON.stringify({
    before: more,
    v,
    ...rest,
    context: { ...event.context, more, late2: true },
    after: 'x',
  });
}
