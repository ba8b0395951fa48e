import { KEYS_LISTED_MAX } from '../contract/keys-listed.js';
import type { KeyDescription, KeyStore, NewKey } from '../games/keys/postgres.js';
import type { Clock } from '../kernel/clock.js';
import type { Output } from './output.js';
import { table } from './table.js';

export interface KeyCommandDeps {
  readonly keys: KeyStore;
  readonly clock: Pick<Clock, 'now'>;
  readonly out: Output;
}

const HOUR_MS = 3_600_000;
const GATEWAYS_KNOW = 'Gateways know it within two seconds.';
const instantText = (ms: number | null): string => (ms === null ? '-' : new Date(ms).toISOString());

/** Makes a key and shows its secret, this once. */
export async function createKey(key: NewKey, { keys, out }: KeyCommandDeps): Promise<number> {
  const issued = await keys.create(key);
  showSecret(out, issued);
  return 0;
}

/** Makes a key like an old one, which stays valid for the overlap. */
export async function rotateKey(
  { keyId, overlapHours }: { readonly keyId: string; readonly overlapHours: number },
  { keys, out }: KeyCommandDeps,
): Promise<number> {
  const { retiresAtMs, ...issued } = await keys.rotate(keyId, overlapHours * HOUR_MS);
  showSecret(out, issued);
  out.line(`Key ${keyId} is valid until ${instantText(retiresAtMs)}.`);
  return 0;
}

/** Ends a key, now or at an instant; one that ends earlier anyway keeps its end. */
export async function retireKey(
  { keyId, atMs }: { readonly keyId: string; readonly atMs: number | null },
  { keys, clock, out }: KeyCommandDeps,
): Promise<number> {
  const wantedMs = atMs ?? clock.now();
  const { retiresAtMs } = await keys.retire(keyId, wantedMs);
  const isEarlier = retiresAtMs < wantedMs ? ', as before: retiring never lengthens' : '';
  out.line(`Key ${keyId} is valid until ${instantText(retiresAtMs)}${isEarlier}. ${GATEWAYS_KNOW}`);
  return 0;
}

/** Lists keys, never their secrets. */
export async function listKeys(
  gameId: string | undefined,
  { keys, clock, out }: KeyCommandDeps,
): Promise<number> {
  const head = ['key', 'game', 'scopes', 'schemes', 'trust', 'valid from', 'until', 'state'];
  const rows = (await keys.list(gameId)).map((key) => [
    key.keyId,
    key.gameId,
    key.scopes.join(' '),
    key.schemes.join(' '),
    key.debug ? `${key.trust} (debug)` : key.trust,
    instantText(key.notBeforeMs),
    instantText(key.notAfterMs),
    stateOf(key, clock.now()),
  ]);
  out.line(rows.length === 0 ? 'No keys.' : table(head, rows));
  if (rows.length >= KEYS_LISTED_MAX)
    out.line(
      `Only ${String(rows.length)} are listed, those that have not ended first${gameId === undefined ? ': name a game with --game' : ''}.`,
    );
  return 0;
}

function stateOf({ revokedAtMs, notAfterMs, notBeforeMs }: KeyDescription, nowMs: number): string {
  if (revokedAtMs !== null) return 'revoked';
  if (notAfterMs !== null && notAfterMs <= nowMs) return 'retired';
  return notBeforeMs > nowMs ? 'not yet' : 'valid';
}

function showSecret(
  out: Output,
  { keyId, secret }: { readonly keyId: string; readonly secret: string },
): void {
  out.line(`key     ${keyId}`);
  out.line(`secret  ${secret}`);
  out.line(`The secret is not shown again. ${GATEWAYS_KNOW}`);
}
