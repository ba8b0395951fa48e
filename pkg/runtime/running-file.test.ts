import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readRunning, removeRunning, writeRunning } from './running-file.js';

const running = {
  databaseUrl: 'postgres://a:b@/c?host=%2Ftmp',
  ownerUrl: 'postgres://o:b@/c?host=%2Ftmp',
  redisUrl: null,
  url: 'http://127.0.0.1:8080',
};
let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'running-'));
});
afterEach(() => rmSync(dataDir, { recursive: true }));
const path = (): string => join(dataDir, 'secrets', 'running.json');

test('what one process writes, another reads, and nobody else may', () => {
  writeRunning(dataDir, running);
  expect(readRunning(dataDir)).toEqual(running);
  expect(statSync(path()).mode & 0o777).toBe(0o600);
  const other = { ...running, redisUrl: '/tmp/redis.sock' };
  writeRunning(dataDir, other);
  expect(readRunning(dataDir)).toEqual(other);
});

test('nothing is read when nothing runs, before the first start and after the end', () => {
  expect(readRunning(dataDir)).toBeNull();
  writeRunning(dataDir, running);
  removeRunning(dataDir);
  removeRunning(dataDir);
  expect(readRunning(dataDir)).toBeNull();
});

test.each(['', '[]', '{"databaseUrl":1,"redisUrl":null,"url":""}', '{"databaseUrl":"x","url":"y"}'])(
  'a damaged file (%s) is named, and its content is not told',
  (text) => {
    writeRunning(dataDir, running);
    writeFileSync(path(), text);
    expect(() => readRunning(dataDir)).toThrow(`${path()} is damaged`);
  },
);
