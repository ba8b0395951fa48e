import { expect, test } from '@jest/globals';
import type { RoleName } from '../kernel/roles.js';
import { outputTo } from './output.js';
import { reconcileCommand } from './reconcile.js';

async function run(isDryRun: boolean, missing: number): Promise<[number, string]> {
  let text = '';
  const out = outputTo({ write: (more: string) => void (text += more) } as unknown as NodeJS.WriteStream);
  const found: readonly [RoleName, number][] = [
    ['archive', 0],
    ['fairness', missing],
  ];
  return [await reconcileCommand(isDryRun, { reconcile: async () => new Map(found), out }), text];
}

test('a dry run that finds something missing ends with 1, as an audit that differs; what was sent is no failure', async () => {
  expect(await run(true, 3)).toEqual([1, expect.stringContaining('Dry run: nothing was sent.')]);
  expect(await run(true, 0)).toEqual([0, expect.stringContaining('Nothing is missing.')]);
  expect(await run(false, 3)).toEqual([
    0,
    expect.stringContaining('The workers of the roles take it from here'),
  ]);
});
