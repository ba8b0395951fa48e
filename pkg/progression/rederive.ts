import type { Sql } from '../postgres/port.js';
import type { Rederivation, RoleEvent } from '../worker/port.js';
import {
  foldProgression,
  grantRef,
  newcomer,
  playerRef,
  type Grant,
  type LedgerRow,
  type Player,
  type PlayerProgress,
} from './fold.js';
import {
  lockPlayers,
  lockStanding,
  saveLedger,
  savePlayers,
  saveReceipts,
  type ProgressRow,
} from './postgres.js';
import { grantsOf, ledgerOf, removeLedger, removePlayer, type StoredLedgerRow } from './rederive.postgres.js';
import { levelRewards } from './grants.js';
import { createProgressionRole, signGrant, type ProgressionOptions } from './role.js';
import type { ReceiptSigner } from './port.js';

/** Makes XP, level and ledger of a player again, and the receipts that are missing. Receipts that stand are never touched. */
export function progressRederivation(options: ProgressionOptions): Rederivation<ProgressRow | null> {
  return {
    role: 'progression',
    takes: createProgressionRole(options).takes,
    async lock(sql, { gameId, playerId }, events) {
      const lock = events.length > 0 ? lockPlayers : lockStanding;
      return (await lock(sql, [{ gameId, playerId }]))[0] ?? null;
    },
    covers: (stored, events) => stored !== null || events.length === 0,
    save: (sql, { gameId, playerId }, stored, events) =>
      saveAgain(sql, { gameId, playerId }, stored, inOrder(events), options.signer),
  };
}

/** Any order gives the same but for the event that a level's receipt names (docs/adr/0006): here it is the earliest that can. */
const inOrder = (events: readonly RoleEvent[]): readonly RoleEvent[] =>
  [...events].sort(
    ({ event: a }, { event: b }) => a.tsMs - b.tsMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );

async function saveAgain(
  sql: Sql,
  player: Player,
  stored: ProgressRow | null,
  events: readonly RoleEvent[],
  signer: ReceiptSigner,
): Promise<void> {
  const standing = await grantsOf(sql, player);
  const granted = new Set(standing.map(({ grantKey }) => grantRef(player, grantKey)));
  const state = { players: new Map([[playerRef(player), newcomer(player)]]), granted };
  const { players, ledger, grants } = foldProgression(state, events);
  const progress = players.get(playerRef(player));
  if (progress === undefined) await removePlayer(sql, player);
  else if (stored === null || !isSame(progress, stored)) await savePlayers(sql, [progress]);
  await saveLedgerAgain(sql, player, ledger);
  const certain = grants.filter((grant) => isCertain(grant, events, progress?.level ?? 1));
  const signed = await Promise.all(certain.map((grant) => signGrant(grant, signer)));
  // An id that stands under another key is a receipt that somebody changed: it stays, and so does what it displaced.
  const taken = new Set(standing.map(({ receiptId }) => receiptId));
  const due = signed.filter(({ receiptId }) => !taken.has(receiptId));
  if (due.length > 0) await saveReceipts(sql, due);
}

const isSame = (progress: PlayerProgress, stored: ProgressRow): boolean =>
  progress.totalXp === stored.totalXp &&
  progress.level === stored.level &&
  progress.updatedAtMs === stored.updatedAtMs &&
  (progress.definition?.version ?? 0) === stored.definitionVersion;

/**
 * Whoever stands at a level has passed it under one of the versions: where all of them pay the same for it, it was paid. Where
 * they do not, it may have been passed before the version came that pays: nobody knows any more.
 */
function isCertain({ grantKey, amount }: Grant, events: readonly RoleEvent[], level: number): boolean {
  if (!grantKey.startsWith('level:')) return true;
  const versions = new Map(events.map(({ definition }) => [definition.version, definition]));
  return [...versions.values()].every((definition) =>
    levelRewards(definition, 1, level).some((paid) => paid.grantKey === grantKey && paid.amount === amount),
  );
}

async function saveLedgerAgain(sql: Sql, player: Player, expected: readonly LedgerRow[]): Promise<void> {
  const missing = new Map(expected.map((row) => [nameOf(storedAs(row)), row]));
  const wrong: string[] = [];
  for (const row of await ledgerOf(sql, player)) if (!missing.delete(nameOf(row))) wrong.push(row.place);
  await removeLedger(sql, wrong);
  if (missing.size > 0) await saveLedger(sql, [...missing.values()]);
}

const storedAs = ({ event, deltaXp }: LedgerRow): Omit<StoredLedgerRow, 'place'> => ({
  identity: event.identity,
  dedupeDay: event.dedupeDay,
  tsMs: event.tsMs,
  deltaXp,
  definitionVersion: event.definitionVersion,
});

/** Every column of a row: what differs in one of them is another row. */
const nameOf = (row: Omit<StoredLedgerRow, 'place'>): string =>
  [row.identity.replaceAll('-', ''), row.dedupeDay, row.tsMs, row.deltaXp, row.definitionVersion].join(' ');
