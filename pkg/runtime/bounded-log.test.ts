import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openBoundedLog } from './bounded-log.js';

test('a full log moves aside once, and what is on disk stays bounded', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-log-'));
  const path = join(folder, 'log', 'server.log');
  const log = openBoundedLog(path, 10);
  for (const text of ['first\n', 'second\n', 'third\n']) log.write(text);
  expect(readFileSync(path, 'utf8')).toBe('third\n');
  expect(readFileSync(`${path}.1`, 'utf8')).toBe('second\n');
  expect(log.tail()).toBe('first\nsecond\nthird');
  log.write('x'.repeat(100));
  expect(readFileSync(path, 'utf8')).toBe('xxxxxxxxxx');
  const again = openBoundedLog(path, 10);
  again.write('more\n');
  expect(readFileSync(path, 'utf8')).toBe('more\n');
  rmSync(folder, { recursive: true });
});
