import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { isProblemCode, problemKind } from '../contract/problem.js';

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');

/** Every code of a fault of the sender that these sources name. */
function codesOf(...texts: readonly string[]): Set<string> {
  const words = texts.flatMap((text) => [...text.matchAll(/'([a-z0-9_]+)'/g)].map(([, word = '']) => word));
  return new Set(words.filter((word) => isProblemCode(word) && problemKind(word).status < 500));
}

test('every reason for which the front door refuses is explained to operators, and no other', () => {
  const folder = new URL('./', import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  const asked = ['../signing/verify.ts', '../contract/strict-json.ts', '../contract/json-text.ts'];
  const used = codesOf(...sources.map((name) => read(`./${name}`)), ...asked.map(read));
  const table = read('../../docs/admin.md').split('### Every reason\n')[1]?.split('\n## ')[0] ?? '';
  const rows = table.split('\n').map((row) => row.split('|')[1] ?? '');
  const explained = rows.flatMap((cell) =>
    [...cell.matchAll(/`([a-z0-9_]+)`/g)].map(([, code = '']) => code),
  );
  expect([...explained].sort()).toEqual([...used].sort());
});
