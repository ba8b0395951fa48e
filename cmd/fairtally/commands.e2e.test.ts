import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { emptyDatabase, type TestDatabase } from '../../pkg/testkit/postgres.js';
import { built } from '../../pkg/testkit/processes.js';

const DEFINITION = fileURLToPath(new URL('../../sample_events/demo.yaml', import.meta.url));
/** A dozen processes, one after the other, on a machine that may be busy. */
jest.setTimeout(120_000);

const MASTER_KEY = `m1:${Buffer.alloc(32, 7).toString('base64')}`;

let server: TestDatabase;
let folder: string;
beforeAll(async () => {
  server = await emptyDatabase();
  folder = mkdtempSync(join(tmpdir(), 'commands-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await server.close();
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly told: string;
}

function fairtally(words: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const base = { PATH: process.env['PATH'], DATABASE_URL: server.url, DATA_DIR: folder, MASTER_KEY };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [built('cmd/fairtally/main.js'), ...words],
      { env: { ...base, ...env } },
      (error, out, told) => resolve({ code: error === null ? 0 : Number(error.code), out, told }),
    );
  });
}

/** The commands build on each other, as an operator uses them. */
test('an operator prepares a database, its definition and its keys, and audits', async () => {
  const early = await fairtally(['keys', 'list']);
  expect(early).toMatchObject({ code: 1 });
  expect(early.told).toMatch(
    /^fairtally: the database lacks 0001_foundation.sql.*: run `fairtally migrate` first\n$/,
  );

  const env = { HMAC_SECRET: 'first-secret-of-thirty-two-bytes!', GAME_DEFINITION: DEFINITION };
  const migrated = await fairtally(['migrate'], env);
  expect(migrated.out).toMatch(/Applied 0001_foundation.sql/);
  expect(migrated.out).toMatch(/game demo: definition version 1 applied\nkey demo: created/);
  expect((await fairtally(['migrate'], env)).out).toBe('The schema is current.\n');

  const created = await fairtally([
    'keys',
    'create',
    '--scopes',
    'read',
    '--id',
    'reader',
    '--trust',
    'client',
  ]);
  expect(created.out).toMatch(
    /key {5}reader\nsecret {2}\S{43}\nThe secret is not shown again\. Gateways know it within two seconds\.\n/,
  );
  const rotated = await fairtally(['keys', 'rotate', 'reader', '--overlap-hours', '1']);
  expect(rotated.out).toMatch(/Key reader is valid until/);
  await fairtally(['keys', 'retire', 'demo']);
  const listed = await fairtally(['keys', 'list', '--game', 'demo']);
  expect(listed.out).toMatch(/demo .* retired/);
  expect(listed.out).toMatch(/reader .* read .* client .* valid/);
  expect(listed.out).not.toMatch(/first-secret/);

  const audited = await fairtally(['audit', '--json']);
  expect(audited.code).toBe(0);
  expect(JSON.parse(audited.out)).toMatchObject({ gameId: 'demo', differences: [], isComplete: true });
  await server.db.query("INSERT INTO player_progress VALUES ('demo', 'ghost', 5, 1, 1, 1, 1)");
  const broken = await fairtally(['audit']);
  expect(broken.code).toBe(1);
  expect(broken.out).toMatch(/stranger .* progression .* ghost/);
  const checked = await fairtally(['rebuild', 'truth', '--game', 'demo', '--check']);
  expect(checked).toMatchObject({ code: 1 });
  expect(checked.out).toMatch(/1 player looked at: 1 would be made again/);
  const rebuilt = await fairtally(['rebuild', 'truth', '--player', 'ghost']);
  expect(rebuilt).toMatchObject({ code: 0 });
  expect(rebuilt.out).toMatch(/What was touched is exact now/);
  expect((await fairtally(['audit'])).code).toBe(0);

  expect(await fairtally(['findings'])).toMatchObject({ code: 0, out: 'No findings.\n' });
  const absent = await fairtally(['definition', 'plan', join(folder, 'absent.yaml')]);
  expect(absent).toMatchObject({
    code: 1,
    told: `fairtally: there is no file ${join(folder, 'absent.yaml')}\n`,
  });

  const unneeded = await fairtally(['rebuild']);
  expect(unneeded).toMatchObject({ code: 0 });
  expect(unneeded.out).toMatch(/There is no Redis/);
});

test('a definition is planned, applied and listed; a wrong one names every fault with its line', async () => {
  const source = readFileSync(DEFINITION, 'utf8');
  const next = join(folder, 'next.yaml');
  writeFileSync(next, source.replace('minSamples: 20', 'minSamples: 21'));
  const planned = await fairtally(['definition', 'plan', next]);
  expect(planned).toMatchObject({ code: 0, out: '~ metric xp-gain: minSamples\n' });
  const applied = await fairtally(['definition', 'apply', next, '--from', '2030-01-01T00:00:00Z']);
  expect(applied.out).toMatch(/Version 2 of demo is in force from 2030-01-01T00:00:00.000Z on/);
  const listed = await fairtally(['definition', 'list']);
  expect(listed.out).toMatch(/│ 2 +│ 2030-01-01.*\n.*\n?│ 1 +│ 1970-01-01/);

  writeFileSync(next, source.replace('aggregate: min', 'aggregate: least').replace('max: 100', 'max: -1'));
  const wrong = await fairtally(['definition', 'apply', next]);
  expect(wrong.code).toBe(1);
  expect(wrong.told.split('\n').filter((line) => /next\.yaml:\d+:\d+ /.test(line))).toHaveLength(2);
});

test('row 78: a wrong configuration exits with 78 and tells the variable, not its value', async () => {
  const { code, told } = await fairtally(['keys', 'list'], { MASTER_KEY: 'a-secret-in-the-wrong-form' });
  expect(code).toBe(78);
  expect(told).toMatch(/MASTER_KEY: expected/);
  expect(told).not.toMatch(/a-secret/);
});

test('a folder without an installation is told as one, and nothing is made there', async () => {
  const away = join(folder, 'away');
  expect(await fairtally(['keys', 'list'], { DATABASE_URL: '', DATA_DIR: away })).toMatchObject({
    code: 1,
    told: expect.stringContaining(`there is no database in ${away}: set DATA_DIR to`),
  });
  expect(existsSync(away)).toBe(false);
});

test('a database that cannot be reached is told with its cause', async () => {
  const url = server.url.replace(/\/\/[^/]*/, '//127.0.0.1:1').replace(/host=[^&]*/, 'host=/nowhere');
  expect(await fairtally(['keys', 'list'], { DATABASE_URL: url })).toMatchObject({
    code: 1,
    told: expect.stringMatching(
      /^fairtally: PostgreSQL cannot be used at the moment\nbecause: .*(ENOENT|ECONNREFUSED).*\n$/,
    ),
  });
});
