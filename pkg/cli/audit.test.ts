import { expect, test } from '@jest/globals';
import type { AuditResult } from '../audit/audit.js';
import { auditCommand } from './audit.js';
import { outputForTest } from './fixtures.js';

const EXACT: AuditResult = {
  gameId: 'demo',
  players: 2,
  events: 5,
  differences: [],
  isComplete: true,
  unread: [],
  letters: [],
};
const audit = async (over: Partial<AuditResult>, isJson = false): Promise<{ code: number; text: string }> => {
  const out = outputForTest();
  const code = await auditCommand({ isJson, out }, async (onProgress) => {
    for (const players of [1, 2]) onProgress({ players, differences: 0 });
    return { ...EXACT, ...over };
  });
  return { code, text: out.text() };
};

test('what is exact is told, and what is quick without a line of progress', async () => {
  expect(await audit({})).toEqual({
    code: 0,
    text: 'Exact: 5 events of 2 players of demo, and every effect is what they make it.',
  });
});

test('players that were not looked at are named, and it is not called exact', async () => {
  const { code, text } = await audit({ unread: [{ playerId: 'busy', why: 'too much' }] });
  expect(code).toBe(1);
  expect(text).toMatch(
    /Not looked at: 1 player[^]*busy[^]*too much[^]*No difference in 5 events of 2 players/,
  );
  expect(text).not.toContain('Exact');
});

test('as JSON it says nothing else', async () => {
  const { text } = await audit({}, true);
  expect(JSON.parse(text)).toEqual(EXACT);
});
