import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { lockDataDir } from './data-dir.js';
import { processIdentity } from './processes.js';

let folder: string;
let other: ChildProcess;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairtally-lock-'));
  other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
});
afterEach(() => {
  other.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const otherPid = (): number => other.pid ?? 0;

function putRecord(name: string): void {
  mkdirSync(join(folder, 'lock'), { recursive: true });
  writeFileSync(join(folder, 'lock', name), '');
}

test('row 52: a second process is refused and told who holds the data directory and since when', () => {
  putRecord(`${String(otherPid())}-${processIdentity(otherPid()) ?? ''}`);
  const refused = (): unknown => lockDataDir(folder);
  expect(refused).toThrow(new RegExp(`in use by process ${String(otherPid())} since \\d{4}-\\d\\d-\\d\\dT`));
  expect(refused).toThrow(expect.objectContaining({ code: 'data_dir_locked' }));
  expect(readdirSync(join(folder, 'lock'))).toHaveLength(1);
});

test('row 52: the same process is refused a second time, until it lets go', () => {
  const first = lockDataDir(folder);
  expect(() => lockDataDir(folder)).toThrow(`process ${String(process.pid)}`);
  first.release();
  lockDataDir(folder).release();
});

test('row 52: the lock of a dead process is taken over', async () => {
  putRecord(`${String(otherPid())}-${processIdentity(otherPid()) ?? ''}`);
  const ended = once(other, 'exit');
  other.kill('SIGKILL');
  await ended;
  const lock = lockDataDir(folder);
  expect(readdirSync(join(folder, 'lock'))).toEqual([expect.stringMatching(`^${String(process.pid)}-`)]);
  lock.release();
});

test('row 52: the lock of a dead process whose id another one has now is taken over', () => {
  putRecord(`${String(otherPid())}-0123456789abcdef`);
  putRecord(`${String(process.pid)}-0123456789abcdef`);
  lockDataDir(folder).release();
  expect(readdirSync(join(folder, 'lock'))).toEqual([]);
});

test('a process has the same identity whenever it is asked, and another than its parent', () => {
  expect(processIdentity(otherPid())).toBe(processIdentity(otherPid()));
  expect(processIdentity(otherPid())).not.toBe(processIdentity(process.pid));
});
