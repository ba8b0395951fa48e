import type { Clock } from '../kernel/clock.js';
import type { PlayerRef } from '../worker/port.js';
import type { Healed } from '../worker/rederive/port.js';

/** Which rows: those of players, those that many players make together, or both. */
export type TruthRows = 'players' | 'shared' | 'all';

/** Whose truth: everybody's, a game's, or one player's. */
export interface TruthScope {
  /** Rows that many players make together are never one player's: with a player they are left out. */
  readonly rows: TruthRows;
  readonly gameId: string | null;
  readonly playerId: string | null;
  /** Goes on after this player: where an earlier run was interrupted. */
  readonly after: string;
  /** Tells what is wrong and changes nothing. */
  readonly isDryRun: boolean;
}

export interface TruthRebuildParts {
  playersAfter(player: PlayerRef, limit: number, ofGame: string | null): Promise<readonly PlayerRef[]>;
  heal(gameId: string, players: readonly string[], isDryRun: boolean): Promise<readonly Healed[]>;
  /** Rows that many players' events make together: boards of guilds, of every game or of one. */
  healShared(gameId: string | null, isDryRun: boolean): Promise<SharedHealed>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly onProgress?: (progress: TruthProgress) => void;
}

export type SharedHealed = Pick<TruthRebuilt, 'left' | 'isCut'> & { readonly healed: readonly Healed[] };

export interface TruthProgress {
  readonly players: number;
  readonly repaired: number;
  /** The last player done; null while those in motion are looked at again. */
  readonly last: PlayerRef | null;
}

export interface TruthRebuilt {
  readonly players: number;
  /** What was made right, or with a dry run would be. */
  readonly repaired: readonly Healed[];
  /** What stays wrong, or was not read, and why; receipts without a cause among it. */
  readonly stays: readonly Healed[];
  /** Players whom the archive was behind of to the end. */
  readonly moving: readonly Healed[];
  /** What a second look at everybody that was touched still found. */
  readonly left: readonly Healed[];
  /** There was too much to remember: the lists above are not whole. */
  readonly isCut: boolean;
}

const PAGE_PLAYERS = 200;
const REMEMBERED_MAX = 100_000;
const ROUNDS_MAX = 10;
const NEXT_ROUND_AFTER_MS = 1_000;

class Tally {
  players = 0;
  isCut = false;
  readonly repaired: Healed[] = [];
  readonly stays: Healed[] = [];
  moving: Healed[] = [];

  add(healed: readonly Healed[]): void {
    for (const one of healed) {
      const { kind } = one.verdict;
      if (this.repaired.length + this.stays.length + this.moving.length >= REMEMBERED_MAX) this.isCut = true;
      else if (kind === 'moving') this.moving.push(one);
      else if (kind === 'repaired' || kind === 'wrong') this.repaired.push(one);
      if (kind === 'blocked' || kind === 'unread') this.stay(one);
      else if (kind !== 'moving' && one.verdict.kept.length > 0) this.stay(one);
    }
  }

  private stay(one: Healed): void {
    if (this.stays.length < REMEMBERED_MAX) this.stays.push(one);
  }
}

/**
 * Makes the truth of players again where it is wrong, a page of players after the other, while events flow. Interrupted, it can
 * be run again: what is right is only looked at. Ends with another look at all that it touched.
 *
 * @throws OutageError
 */
export async function rebuildTruth(scope: TruthScope, parts: TruthRebuildParts): Promise<TruthRebuilt> {
  const { isDryRun } = scope;
  const tally = new Tally();
  for await (const page of scope.rows === 'shared' ? [] : pagesOf(scope, parts)) {
    for (const [gameId, players] of byGame(page)) tally.add(await parts.heal(gameId, players, isDryRun));
    tally.players += page.length;
    const last = page.at(-1) ?? null;
    parts.onProgress?.({ players: tally.players, repaired: tally.repaired.length, last });
  }
  for (let round = 0; round < ROUNDS_MAX && tally.moving.length > 0; round += 1) {
    await parts.clock.sleep(NEXT_ROUND_AFTER_MS);
    const again = tally.moving;
    tally.moving = [];
    for (const [gameId, players] of byGame(again)) tally.add(await parts.heal(gameId, players, isDryRun));
    parts.onProgress?.({ players: tally.players, repaired: tally.repaired.length, last: null });
  }
  const left = isDryRun ? [] : await lookAgain(tally.repaired, parts);
  if (scope.rows !== 'players' && scope.playerId === null) {
    const shared = await parts.healShared(scope.gameId, isDryRun);
    tally.add(shared.healed);
    left.push(...shared.left);
    tally.isCut ||= shared.isCut;
  }
  const { players, repaired, stays, moving, isCut } = tally;
  return { players, repaired, stays, moving, left, isCut };
}

async function* pagesOf(
  { gameId, playerId, after }: TruthScope,
  { playersAfter }: TruthRebuildParts,
): AsyncGenerator<readonly PlayerRef[]> {
  if (gameId !== null && playerId !== null) {
    yield [{ gameId, playerId }];
    return;
  }
  let last: PlayerRef = { gameId: gameId ?? '', playerId: after };
  for (;;) {
    const page: readonly PlayerRef[] = await playersAfter(last, PAGE_PLAYERS, gameId);
    const end = page.at(-1);
    if (end === undefined) return;
    yield page;
    last = end;
  }
}

/** Each player once. */
function byGame(players: readonly PlayerRef[]): ReadonlyMap<string, string[]> {
  const games = new Map<string, Set<string>>();
  for (const { gameId, playerId } of players) {
    const ids = games.get(gameId) ?? new Set<string>();
    games.set(gameId, ids.add(playerId));
  }
  return new Map([...games].map(([gameId, ids]) => [gameId, [...ids]]));
}

async function lookAgain(touched: readonly Healed[], { heal }: TruthRebuildParts): Promise<Healed[]> {
  const left: Healed[] = [];
  for (const [gameId, players] of byGame(touched))
    left.push(...(await heal(gameId, players, true)).filter(({ verdict }) => verdict.kind === 'wrong'));
  return left;
}
