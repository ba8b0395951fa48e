import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { createTerminalLog } from './terminal-log.js';

test('every line goes to the file; warnings and errors go to the person in words, however the text is cut', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'fairtally-log-')), 'log', 'fairtally.log');
  const told: string[] = [];
  const log = createTerminalLog(path, (line) => told.push(line));
  const text = [
    JSON.stringify({ level: 'info', msg: 'listening' }),
    JSON.stringify({ level: 'warn', msg: 'a process ended' }),
    JSON.stringify({ level: 'error', msg: 'the start failed', err: { message: 'no room' } }),
    'fairtally: the configuration is wrong:',
    '',
  ].join('\n');
  log.write(text.slice(0, 50));
  log.write(text.slice(50));
  expect(told).toEqual([
    'warning: a process ended',
    'error: the start failed: no room',
    'fairtally: the configuration is wrong:',
  ]);
  expect(readFileSync(path, 'utf8')).toBe(text);
});
