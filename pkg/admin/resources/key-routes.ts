import type { IssuedKey, KeyDescription, KeyStore } from '../../games/keys/postgres.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { Clock } from '../../kernel/clock.js';
import { FairtallyError } from '../../kernel/errors.js';
import type { Sql } from '../../postgres/port.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import { found, instantOf, instantOrNull, type Schemas } from './answers.js';
import { hasKey, lastUses } from './key-uses.postgres.js';

export interface KeyParts {
  /** The signing keys, inside a transaction that is open. */
  readonly keys: (sql: Sql) => Pick<KeyStore, 'create' | 'rotate' | 'retire' | 'revoke' | 'find' | 'list'>;
  readonly clock: Pick<Clock, 'now'>;
}

type KeyOperation = 'listKeys' | 'createKey' | 'rotateKey' | 'retireKey' | 'revokeKey';

const NEVER_KEPT = { 'Cache-Control': 'no-store' };

/** Signing keys. A secret is shown once, to who made the key, and stands in no log. */
export const keyRoutes = (parts: KeyParts): Pick<GameRoutes, KeyOperation> => ({
  listKeys: async ({ gameId, read }) => ({
    status: 200,
    body: { items: await read((sql) => describeKeys(sql, gameId, parts)) },
  }),
  createKey: async (call) => ({ status: 201, body: await create(call, parts), headers: NEVER_KEPT }),
  rotateKey: async (call) => ({ status: 201, body: await rotate(call, parts), headers: NEVER_KEPT }),
  retireKey: async ({ gameId, path: { keyId }, body, change }) => ({
    status: 200,
    body: await change(async ({ sql, audit }) => {
      await ownKey(sql, gameId, keyId);
      const atMs = Math.max(body.at === undefined ? 0 : Date.parse(body.at), parts.clock.now());
      const { retiresAtMs } = await tried(parts.keys(sql).retire(keyId, atMs));
      audit({
        action: 'key.retire',
        subject: `key ${keyId}`,
        details: { retiresAt: instantOf(retiresAtMs) },
      });
      return describeKey(sql, gameId, keyId, parts);
    }),
  }),
  revokeKey: async ({ gameId, path: { keyId }, body: { reason }, change }) => ({
    status: 200,
    body: await change(async ({ sql, audit }) => {
      await ownKey(sql, gameId, keyId);
      await tried(parts.keys(sql).revoke(keyId));
      audit({ action: 'key.revoke', subject: `key ${keyId}`, reason });
      return describeKey(sql, gameId, keyId, parts);
    }),
  }),
});

/** Key ids are unique over all games, so a key of another game must look as if there were none. */
async function ownKey(sql: Sql, gameId: string, keyId: string): Promise<void> {
  if (!(await hasKey(sql, gameId, keyId))) throw new RequestProblem('not_found');
}

const REFUSALS = ['key_exists', 'key_reserved', 'key_replaced', 'key_not_valid'] as const;

async function tried<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof FairtallyError)) throw error;
    const refusal = REFUSALS.find((code) => code === error.code);
    if (refusal !== undefined) throw new RequestProblem(refusal);
    if (error.code === 'invalid_key') throw new RequestProblem('invalid_key', { detail: error.message });
    throw error;
  }
}

async function describeKeys(
  sql: Sql,
  gameId: string,
  { keys, clock }: KeyParts,
): Promise<Schemas['SigningKey'][]> {
  const uses = await lastUses(sql, gameId);
  const nowMs = clock.now();
  return (await keys(sql).list(gameId)).map((key) => keyOf(key, uses.get(key.keyId) ?? null, nowMs));
}

/** Not out of the list, which has an end: the oldest key is the likeliest to have leaked. */
async function describeKey(
  sql: Sql,
  gameId: string,
  keyId: string,
  { keys, clock }: KeyParts,
): Promise<Schemas['SigningKey']> {
  const uses = await lastUses(sql, gameId);
  return keyOf(found(await keys(sql).find(keyId)), uses.get(keyId) ?? null, clock.now());
}

const keyOf = (key: KeyDescription, lastUsedMs: number | null, nowMs: number): Schemas['SigningKey'] => ({
  keyId: key.keyId,
  state: stateOf(key, nowMs),
  scopes: [...key.scopes],
  schemes: [...key.schemes],
  trust: key.trust,
  debug: key.debug,
  notBefore: instantOf(key.notBeforeMs),
  notAfter: instantOrNull(key.notAfterMs),
  revokedAt: instantOrNull(key.revokedAtMs),
  createdAt: instantOf(key.createdAtMs),
  lastUsedAt: instantOrNull(lastUsedMs),
});

function stateOf(key: KeyDescription, nowMs: number): Schemas['SigningKey']['state'] {
  if (key.revokedAtMs !== null) return 'revoked';
  if (key.notAfterMs !== null) return key.notAfterMs <= nowMs ? 'retired' : 'retiring';
  return key.notBeforeMs > nowMs ? 'pending' : 'active';
}

const create = (
  { gameId, body, change }: GameCall<'createKey'>,
  parts: KeyParts,
): Promise<Schemas['IssuedKey']> =>
  change(async ({ sql, audit }) => {
    const { keyId, notAfter, schemes = ['v1'], trust = 'server', debug = false } = body;
    const issued: IssuedKey = await tried(
      parts.keys(sql).create({
        gameId,
        scopes: body.scopes,
        schemes,
        trust,
        debug,
        ...(keyId === undefined ? {} : { keyId }),
        ...(notAfter === undefined ? {} : { notAfterMs: Date.parse(notAfter) }),
      }),
    );
    audit({
      action: 'key.create',
      subject: `key ${issued.keyId}`,
      details: {
        scopes: body.scopes.join(' '),
        schemes: schemes.join(' '),
        trust,
        debug,
        notAfter: notAfter ?? null,
      },
    });
    return { key: await describeKey(sql, gameId, issued.keyId, parts), secret: issued.secret };
  });

const rotate = (
  { gameId, path: { keyId: replacedKeyId }, body: { overlapSeconds }, change }: GameCall<'rotateKey'>,
  parts: KeyParts,
): Promise<Schemas['RotatedKey']> =>
  change(async ({ sql, audit }) => {
    await ownKey(sql, gameId, replacedKeyId);
    const { keyId, secret, retiresAtMs } = await tried(
      parts.keys(sql).rotate(replacedKeyId, overlapSeconds * 1000),
    );
    const retiresAt = instantOf(retiresAtMs);
    audit({ action: 'key.rotate', subject: `key ${replacedKeyId}`, details: { newKeyId: keyId, retiresAt } });
    return { key: await describeKey(sql, gameId, keyId, parts), secret, replacedKeyId, retiresAt };
  });
