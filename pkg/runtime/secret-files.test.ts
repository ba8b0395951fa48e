import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { systemRandom } from '../kernel/random.js';
import { parseConfig, type Config } from './config.js';
import { demoSecret, masterKeyText, secretFile } from './secret-files.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fairtally-secrets-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function configOf(env: Record<string, string>): Config {
  const result = parseConfig({ DATA_DIR: folder, ...env });
  if (!result.ok) throw new Error(result.problems.map((problem) => problem.variable).join());
  return result.config;
}

test('a secret is made once, for its owner alone', () => {
  const first = masterKeyText(configOf({}), systemRandom);
  expect(first).toMatch(/^m1:[A-Za-z0-9+/]{43}=$/);
  expect(masterKeyText(configOf({}), systemRandom)).toBe(first);
  expect(statSync(join(folder, 'secrets', 'master.key')).mode & 0o777).toBe(0o600);
  expect(statSync(join(folder, 'secrets')).mode & 0o777).toBe(0o700);
  expect(readdirSync(join(folder, 'secrets'))).toEqual(['master.key']);
});

test('the secret of the demo key is HMAC_SECRET, or made once and long enough to be one', () => {
  const secret = demoSecret(configOf({}), systemRandom);
  expect(configOf({ HMAC_SECRET: secret }).secrets.hmacSecret).toBe(secret);
  expect(demoSecret(configOf({}), systemRandom)).toBe(secret);
  const other = 'another-secret-of-at-least-32-characters';
  expect(demoSecret(configOf({ HMAC_SECRET: other }), systemRandom)).toBe(other);
});

test('of two that make a secret at once, both get the first one', () => {
  const inner = (): string => secretFile(folder, 'x', () => 'written-by-the-faster', systemRandom);
  const slower = secretFile(folder, 'x', () => `not-${inner()}`, systemRandom);
  expect(slower).toBe('written-by-the-faster');
});

test('a master key file holds one key per line, and a bad one is refused without being told', () => {
  const file = join(folder, 'keys');
  const keys = ['m2', 'm1'].map((id) => `${id}:${Buffer.alloc(32, id).toString('base64')}`);
  writeFileSync(file, `${keys.join('\n')}\n`);
  expect(masterKeyText(configOf({ MASTER_KEY_FILE: file }), systemRandom)).toBe(keys.join(','));
  writeFileSync(file, 'hunter2');
  const read = (): unknown => masterKeyText(configOf({ MASTER_KEY_FILE: file }), systemRandom);
  expect(read).toThrow(expect.objectContaining({ code: 'bad_master_key' }));
  expect(read).not.toThrow('hunter2');
});
