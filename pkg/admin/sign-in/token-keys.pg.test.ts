import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createDatabase } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { systemRandom } from '../../kernel/random.js';
import { createSealer, parseMasterKeys } from '../../secrets/seal.js';
import { testDatabase, type TestDatabase } from '../../testkit/postgres.js';
import { SettableClock } from '../../testkit/settable-clock.js';
import { createGameDatabase } from '../game-database.postgres.js';
import { createAccessTokens, type AccessTokens } from './access-tokens.js';
import {
  openTokenKeys,
  ROTATE_AFTER_MS,
  rotateTokenKeys,
  type SharedTokenKeyDeps,
  type TokenKeyDeps,
  type TokenKeyStore,
} from './token-keys.postgres.js';

const CLAIMS = { userId: 'u1', sessionId: 's1' };
const MINUTE = 60_000;
const actor = { userId: null, name: 'a test', requestId: '' };
let database: TestDatabase;
let api: Database;
let clock: SettableClock;
let deps: SharedTokenKeyDeps;
let unreadable: string[];

beforeAll(async () => {
  database = await testDatabase();
  api = createDatabase({ url: database.url, poolSize: 6, role: 'fairtally_api' });
});
afterAll(async () => {
  await api.close();
  await database.close();
});
beforeEach(async () => {
  await database.db.query('DELETE FROM admin_token_keys');
  await database.db.query('DELETE FROM admin_refresh_secret');
  clock = new SettableClock(Date.now());
  const sealer = createSealer(parseMasterKeys(`m1:${Buffer.alloc(32, 7).toString('base64')}`), systemRandom);
  unreadable = [];
  const onUnreadable = (secrets: readonly string[]): void => void unreadable.push(...secrets);
  deps = { games: createGameDatabase(api, clock), sealer, random: systemRandom, clock, onUnreadable };
});

interface Service {
  readonly keys: TokenKeyStore;
  readonly tokens: AccessTokens;
  kid(): string;
}
/** One process of the admin service. */
async function service(): Promise<Service> {
  const keys = await openTokenKeys(deps);
  return { keys, tokens: createAccessTokens(keys, clock), kid: () => keys.current().kid };
}

describe('keys of access tokens', () => {
  test('are one in all processes that start at once', async () => {
    const all = await Promise.all([service(), service(), service(), service()]);
    expect(new Set(all.map(({ kid }) => kid())).size).toBe(1);
    expect(new Set(all.map(({ keys }) => keys.refreshSecret.toString('hex'))).size).toBe(1);
  });

  test('change after 30 days, once for all processes, and only when every process knows the new one', async () => {
    const [first, second] = [await service(), await service()];
    const old = first.kid();
    clock.advance(ROTATE_AFTER_MS - 1);
    await Promise.all([first.keys.refresh(), second.keys.refresh()]);
    expect(await database.db.query('SELECT kid FROM admin_token_keys')).toHaveLength(1);
    clock.advance(1);
    await Promise.all([first.keys.refresh(), second.keys.refresh()]);
    expect(await database.db.query('SELECT kid FROM admin_token_keys')).toHaveLength(2);
    expect([first.kid(), second.kid()]).toEqual([old, old]);
    const { token: last } = await second.tokens.sign(CLAIMS);

    clock.advance(MINUTE);
    expect(first.kid()).not.toBe(old);
    expect(second.kid()).toBe(first.kid());
    const { token } = await first.tokens.sign(CLAIMS);
    expect(await second.tokens.verify(token)).toEqual(CLAIMS);
    expect(await first.tokens.verify(last)).toEqual(CLAIMS);
    clock.advance(14 * MINUTE - 1_000);
    expect(await first.tokens.verify(last)).toEqual(CLAIMS); // as long as it lives
    clock.advance(1_000);
    expect(await first.tokens.verify(last)).toBeNull();
  });

  test('that have ended verify nothing, and are forgotten by the next rotation', async () => {
    const one = await service();
    const old = one.kid();
    await rotateTokenKeys({ actor, onlyWhenOld: false, atOnce: false }, deps);
    await one.keys.refresh();
    clock.advance(20 * MINUTE);
    expect(await one.keys.publicKey(old)).not.toBeNull(); // clocks may differ by minutes
    clock.advance(MINUTE);
    expect(await one.keys.publicKey(old)).toBeNull();
    clock.advance(1);
    await rotateTokenKeys({ actor, onlyWhenOld: false, atOnce: false }, deps);
    const kids = await database.db.query<{ kid: string }>('SELECT kid FROM admin_token_keys');
    expect(kids).toHaveLength(2);
    expect(kids).not.toContainEqual({ kid: old });
  });

  test('row 72: a key that somebody else may have ends at once, and the audit log has it', async () => {
    const [one, other] = [await service(), await service()];
    const { token: stolen } = await one.tokens.sign(CLAIMS);
    const made = await rotateTokenKeys({ actor, onlyWhenOld: false, atOnce: true }, deps);
    await Promise.all([one.keys.refresh(), other.keys.refresh()]);
    expect([await one.tokens.verify(stolen), await other.tokens.verify(stolen)]).toEqual([null, null]);
    expect([one.kid(), other.kid()]).toEqual([made?.kid, made?.kid]);
    const [entry] = await database.db.query(
      'SELECT actor, action, details FROM admin_audit ORDER BY seq DESC LIMIT 1',
    );
    expect(entry).toMatchObject({ actor: 'a test', action: 'token_keys.rotate', details: { atOnce: true } });
  });

  test('that another master key sealed are named once and sign nothing: where there are no others, a new one is made', async () => {
    const foreign = createSealer([{ id: 'm1', key: Buffer.alloc(32, 8) }], systemRandom);
    const by = (sealer: TokenKeyDeps['sealer']): Parameters<typeof rotateTokenKeys> => [
      { actor, onlyWhenOld: false, atOnce: false },
      { ...deps, sealer },
    ];
    const first = await rotateTokenKeys(...by(foreign));
    const one = await service();
    expect(one.kid()).not.toBe(first?.kid);
    const second = await rotateTokenKeys(...by(foreign));
    clock.advance(MINUTE);
    const other = await service();
    expect([one.kid(), other.kid()]).toEqual([one.kid(), one.kid()]);
    await other.keys.refresh();
    expect(await one.tokens.verify((await other.tokens.sign(CLAIMS)).token)).toEqual(CLAIMS);
    const named = (kid?: string): string => `admin_token_keys ${kid ?? ''}`;
    expect(unreadable).toEqual([named(first?.kid), named(first?.kid), named(second?.kid)]);
  });

  test('made by another process are found by the first token that names them', async () => {
    const [one, other] = [await service(), await service()];
    await rotateTokenKeys({ actor, onlyWhenOld: false, atOnce: false }, deps);
    await one.keys.refresh();
    clock.advance(MINUTE);
    expect(await other.tokens.verify((await one.tokens.sign(CLAIMS)).token)).toEqual(CLAIMS);
  });

  test('do not change without end, and leave the secret of refresh tokens as it was', async () => {
    const before = (await service()).keys.refreshSecret;
    const rotate = (): Promise<object | null> =>
      rotateTokenKeys({ actor, onlyWhenOld: false, atOnce: false }, deps);
    for (let i = 1; i < 16; i += 1) await rotate();
    await expect(rotate()).rejects.toMatchObject({ code: 'too_many_token_keys' });
    expect((await service()).keys.refreshSecret).toEqual(before);
    clock.advance(30 * MINUTE);
    expect(await rotate()).not.toBeNull();
  });
});
