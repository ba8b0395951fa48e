import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { systemRandom } from '../../kernel/random.js';
import { createSealer } from '../../secrets/seal.js';
import { testDatabase } from '../../testkit/postgres.js';
import type { TestDatabase } from '../../testkit/postgres.js';
import { createGameStore } from '../tenants/postgres.js';
import { createDefinitionSource, createDefinitionStore } from './postgres.js';
import type { Application } from './postgres.js';

const sample = readFileSync(new URL('../../../sample_events/demo.yaml', import.meta.url), 'utf8').replace(
  'game: demo',
  '',
);
const NOON = Date.parse('2026-11-20T12:00:00Z');
const HOUR_MS = 3_600_000;

let server: TestDatabase;
let gameId: string;
let games = 0;
beforeAll(async () => {
  server = await testDatabase();
});
afterAll(() => server.close());
beforeEach(async () => {
  gameId = `game-${String((games += 1))}`;
  const sealer = createSealer([{ id: 'm', key: Buffer.alloc(32, 1) }], systemRandom);
  await createGameStore(server.db, sealer, systemRandom).create({ gameId, dedupeFloor: '2026-01-01' });
});

const applied = (source: string, effectiveFromMs = NOON): Application => ({
  gameId,
  source,
  effectiveFromMs,
  by: 'ann',
});
const graced = (grace: string): string => sample.replace('grace: 24h', `grace: ${grace}`);

describe('the store of definitions', () => {
  test('gives versions 1, 2, 3 and lists them, newest first', async () => {
    const store = createDefinitionStore(server.db);
    expect((await store.apply(applied(sample))).version).toBe(1);
    const second = await store.apply(applied(graced('1h')));
    expect([second.version, second.plan.changes]).toEqual([
      2,
      [{ change: 'changed', what: 'game', keys: ['grace'] }],
    ]);
    const listed = await store.list(gameId);
    expect(
      listed.map(({ version, appliedBy, effectiveFromMs }) => [version, appliedBy, effectiveFromMs]),
    ).toEqual([
      [2, 'ann', NOON],
      [1, 'ann', NOON],
    ]);
    expect(listed[0]?.sourceSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(await store.source(gameId, 1)).toBe(sample);
    expect(await store.source(gameId, 3)).toBeNull();
  });

  test('plans without applying', async () => {
    const store = createDefinitionStore(server.db);
    expect((await store.plan(applied(sample))).changes.length).toBeGreaterThan(5);
    expect(await store.list(gameId)).toEqual([]);
  });

  test('refuses the same document again, but may bring it forward', async () => {
    const store = createDefinitionStore(server.db);
    await store.apply(applied(sample, NOON + HOUR_MS));
    await expect(store.apply(applied(sample, NOON + HOUR_MS))).rejects.toMatchObject({
      code: 'definition_unchanged',
    });
    expect((await store.apply(applied(sample, NOON))).version).toBe(2);
  });

  test('compares with the version in force at the instant, not with one that is still to come', async () => {
    const store = createDefinitionStore(server.db);
    await store.apply(applied(sample));
    await store.apply(applied(graced('2h'), NOON + 2 * HOUR_MS));
    const graceChanges = [{ change: 'changed', what: 'game', keys: ['grace'] }];
    const toCome = { version: 2, effectiveFromMs: NOON + 2 * HOUR_MS };

    // What is to come anyway is a change when it is to hold earlier ...
    expect(await store.plan(applied(graced('2h'), NOON + HOUR_MS))).toMatchObject({
      changes: graceChanges,
      against: { version: 1, effectiveFromMs: NOON },
      overruled: [toCome],
    });
    // ... none from its own instant on, and what holds now is one from then on.
    await expect(store.apply(applied(graced('2h'), NOON + 3 * HOUR_MS))).rejects.toMatchObject({
      code: 'definition_unchanged',
    });
    expect(await store.plan(applied(sample, NOON + 3 * HOUR_MS))).toMatchObject({
      changes: graceChanges,
      against: toCome,
      overruled: [],
    });

    // The document in force, again: nothing changes now, but what was to come is called off.
    const calledOff = await store.apply(applied(sample, NOON + HOUR_MS));
    expect(calledOff).toMatchObject({ version: 3, plan: { changes: [], overruled: [toCome] } });
    const last = await store.plan(applied(sample, NOON + HOUR_MS));
    expect(last).toMatchObject({ against: { version: 3 }, overruled: [] });
  });

  test('refuses a board that would mix scores, a wrong document and an unknown game', async () => {
    const store = createDefinitionStore(server.db);
    await store.apply(applied(sample));
    const mixing = sample.replace('aggregate: min', 'aggregate: last');
    await expect(store.apply(applied(mixing))).rejects.toMatchObject({ code: 'definition_incompatible' });
    await expect(store.apply({ ...applied('events: 1'), fileName: 'x.yaml' })).rejects.toThrow(
      /^x\.yaml:1:9 events: /,
    );
    await expect(store.apply({ ...applied(sample), gameId: 'nobody' })).rejects.toMatchObject({
      code: 'game_unknown',
    });
    expect((await store.list(gameId)).map(({ version }) => version)).toEqual([1]);
  });

  test('finds what a name meant last, however it was written, and reads no version that says nothing of it', async () => {
    const store = createDefinitionStore(server.db);
    const withBoard = (name: string, aggregate: string): string =>
      sample.replace(
        'boards:\n',
        `boards:\n  ${name}: { event: progression, aggregate: ${aggregate}, value: deltaXp, windows: [daily] }\n`,
      );
    await store.apply(applied(withBoard('"\\x6edex"', 'sum')));
    await store.apply(applied(sample));
    // A document of a time when more was allowed: nothing asks for it any more.
    await server.db.query(
      `INSERT INTO game_definitions (game_id, version, effective_from, source, source_sha256, applied_by)
       VALUES ($1, 3, now() + interval '1 year', 'boards: gone', '', 'ann')`,
      [gameId],
    );
    const meant = (aggregate: string): ReturnType<typeof store.plan> =>
      store.plan(applied(withBoard('ndex', aggregate)));
    expect((await meant('sum')).refusals).toEqual([]);
    expect((await meant('best')).refusals).toEqual([expect.stringMatching(/^board ndex: aggregate/)]);
  });

  test('gives each of many at once its own version', async () => {
    const store = createDefinitionStore(server.db);
    const all = await Promise.all(
      [1, 2, 3, 4, 5].map((hours) => store.apply(applied(graced(`${String(hours)}h`)))),
    );
    expect(all.map(({ version }) => version).sort()).toEqual([1, 2, 3, 4, 5]);
  });
});

describe('the source of definitions', () => {
  test('takes a new version from its instant on, without a restart', async () => {
    const store = createDefinitionStore(server.db);
    const source = createDefinitionSource(server.db);
    await store.apply(applied(sample));
    expect((await source.inForce(gameId, NOON))?.version).toBe(1);
    expect(await source.inForce(gameId, NOON - 1)).toBeNull();
    expect(await source.inForce('nobody', NOON)).toBeNull();

    await store.apply(applied(graced('1h'), NOON + HOUR_MS));
    await source.refresh();
    expect((await source.inForce(gameId, NOON + HOUR_MS - 1))?.graceMs).toBe(24 * HOUR_MS);
    expect((await source.inForce(gameId, NOON + HOUR_MS))?.graceMs).toBe(HOUR_MS);
  });

  test('a newer version that is in force at once overrules one that was to come', async () => {
    const store = createDefinitionStore(server.db);
    const source = createDefinitionSource(server.db);
    await store.apply(applied(sample));
    await store.apply(applied(graced('2h'), NOON + HOUR_MS));
    await store.apply(applied(graced('3h'), NOON));
    await source.refresh();
    expect((await source.inForce(gameId, NOON + 2 * HOUR_MS))?.version).toBe(3);
  });

  test('answers one exact version, always the same object, and refuses one that does not exist', async () => {
    const source = createDefinitionSource(server.db);
    await createDefinitionStore(server.db).apply(applied(sample));
    const [one, again] = await Promise.all([source.version(gameId, 1), source.version(gameId, 1)]);
    expect(one).toBe(again);
    expect(await source.inForce(gameId, NOON)).toBe(one);
    await expect(source.version(gameId, 9)).rejects.toMatchObject({ code: 'definition_unknown' });
  });

  test('learns of what was refused before, once it exists', async () => {
    const source = createDefinitionSource(server.db);
    await expect(source.version(gameId, 1)).rejects.toMatchObject({ code: 'definition_unknown' });
    await createDefinitionStore(server.db).apply(applied(sample));
    expect((await source.version(gameId, 1)).version).toBe(1);
  });
});
