import type { DefinitionSource } from '../games/port.js';
import type { Role } from '../worker/port.js';
import { foldProgression, type Grant, type ProgressionChanges, type ProgressionState } from './fold.js';
import type { ReceiptSigner } from './port.js';
import { loadProgression, saveProgression, type SignedGrant } from './postgres.js';
import { receiptGrant } from './receipts.js';

export interface ProgressionOptions {
  readonly definitions: Pick<DefinitionSource, 'version'>;
  readonly signer: ReceiptSigner;
}

/** Counts XP into totals and levels, and grants each reward once, with a signed receipt. */
export function createProgressionRole({
  definitions,
  signer,
}: ProgressionOptions): Role<ProgressionState, ProgressionChanges> {
  return {
    name: 'progression',
    takes: ({ levels, rewards }, type, mapped) =>
      mapped && (levels?.eventType === type || rewards.some((rule) => rule.eventType === type)),
    load: (sql, events) => loadProgression(sql, events, definitions),
    fold: foldProgression,
    save: (sql, changes) =>
      saveProgression(sql, changes, Promise.all(changes.grants.map((grant) => signGrant(grant, signer)))),
    made: ({ grants }) => ({ receipts: grants.length }),
  };
}

export async function signGrant(grant: Grant, signer: ReceiptSigner): Promise<SignedGrant> {
  const claims = receiptGrant(grant);
  const { kid, jws } = await signer.sign(grant.event.gameId, claims);
  return { grant, receiptId: claims.jti, kid, jws };
}
