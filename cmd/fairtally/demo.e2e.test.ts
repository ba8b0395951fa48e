import { expect, test } from '@jest/globals';
import { built, startProcess } from '../../pkg/testkit/processes.js';

test('rows 33, 34, 51: `demo crash` kills everything at random and ends with what became of every event', async () => {
  const demo = startProcess('demo', [built('cmd/fairtally/main.js'), 'demo', 'crash', '--seconds', '5'], {});
  const { code } = await demo.exited;
  const told = /sent (\d+), acknowledged (\d+), processes killed (\d+): (.*)$/m.exec(demo.output());
  expect(told?.[4]).toBe('lost 0, doubled 0, unexpected 0, differences in the audit 0');
  expect(Number(told?.[2])).toBeGreaterThan(0);
  expect(Number(told?.[3])).toBeGreaterThan(0);
  expect(code).toBe(demo.output().includes('proves nothing') ? 1 : 0); // a machine that answers nothing in five seconds
}, 300_000);
