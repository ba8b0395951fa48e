import { contentKey, type Ground } from './ground.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

/** Roles whose truth is made again. */
type HealedRole = 'progression' | 'leaderboard' | 'archive';

interface Found {
  readonly key: string;
  readonly row: Row;
}

/**
 * A hand in the database, a disk, a fault of ours: rows of the truth become other rows, in ways that docs/operations.md promises
 * to mend. Remembers whose they were, for nobody else may be found wrong.
 */
export class Damage {
  strikes = 0;
  /** Somebody changed a view as well: whoever voids it is right. */
  hasTamperedViews = false;
  /** Scores that were another one for a while, of boards that rank players. */
  readonly scores = new Set<string>();
  /** The same of boards that rank something else: these are made again by hand only. */
  readonly sharedScores = new Set<string>();
  /** Players whose XP, or a receipt, was another one: levels may have been paid by what they were not. */
  readonly levels = new Set<string>();
  /** By role and player: when it struck last. */
  private readonly struckAtMs = new Map<string, number>();

  constructor(private readonly system: System) {}

  /** Breaks one row, if there is one that nobody holds. */
  strike(): void {
    const { world } = this.system;
    const kinds = Object.entries(KINDS).filter(([, { isFit }]) => isFit?.(this.system) !== false);
    const [name, kind] = world.chance.pick(kinds);
    const found = this.pick(kind.table, kind.fits ?? ((): boolean => true));
    if (found === null || !this.apply(kind, found)) return;
    this.strikes += 1;
    world.coverage.saw(`damaged: ${name}`);
    world.trace(`! ${name}: ${found.key}`);
  }

  isStruckScore(key: string): boolean {
    return this.scores.has(key) || this.sharedScores.has(key);
  }

  /** Whether something of a player in a role was broken, since an instant if one is given. */
  struck(role: string, gameId: string, playerId: string, sinceMs = -Infinity): boolean {
    return (this.struckAtMs.get(keyText(role, gameId, playerId)) ?? -Infinity) > sinceMs;
  }

  /**
   * Players of whom what was broken stays so: a role has counted what the archive does not have, or has under other content. Such
   * players are left to people.
   */
  leftToPeople({ inbox, published, corrected }: Ground): ReadonlySet<string> {
    const left = new Set<string>();
    if (this.strikes === 0) return left;
    for (const role of ['progression', 'leaderboard'] as const) {
      for (const [identity, row] of inbox.get(role) ?? []) {
        const hash = row['content_hash'];
        if (inbox.get('archive')?.get(identity)?.['content_hash'] === hash) continue;
        const event = published.get(contentKey(identity, hash)) ?? corrected.get(contentKey(identity, hash));
        if (event === undefined) continue;
        left.add(keyText(event.gameId)); // boards of guilds are made of everybody's events
        if (this.struck(role, event.gameId, event.playerId)) left.add(keyText(event.gameId, event.playerId));
      }
    }
    return left;
  }

  private pick(table: string, fits: (row: Row) => boolean): Found | null {
    const found: Found[] = [];
    for (const { key, locks, versions } of this.system.store.table(table).slots.values()) {
      const row = versions.at(-1)?.row ?? null;
      if (row !== null && locks.length === 0 && fits(row)) found.push({ key, row });
    }
    return found.length === 0 ? null : this.system.world.chance.pick(found);
  }

  private apply({ role, table, change }: Kind, { key, row }: Found): boolean {
    const changed = change(row, this.system);
    if (changed === 'none') return false;
    const changedKey = table === 'board_scores' && changed !== null ? scoreKeyOf(changed) : key;
    if (!this.system.store.tamper(table, changedKey, () => changed)) return false;
    const owner = changed ?? row;
    const player = keyText(owner['game_id'], owner['player_id'] ?? owner['subject']);
    if (table === 'board_scores') this.noteScore(row, changedKey);
    if (role === 'progression') this.levels.add(player);
    if (table === 'receipts') this.system.witness.forgetReceipt(row);
    this.struckAtMs.set(keyText(role, player), this.system.world.nowMs);
    return true;
  }

  private noteScore(row: Row, key: string): void {
    (row['board'] === SHARED_BOARD ? this.sharedScores : this.scores).add(key);
  }
}

const SHARED_BOARD = 'guilds';

const scoreKeyOf = (row: Row): string =>
  keyText(row['game_id'], row['board'], row['cycle'], row['partition'], row['subject']);

interface Kind {
  readonly role: HealedRole;
  readonly table: string;
  readonly fits?: (row: Row) => boolean;
  readonly isFit?: (system: System) => boolean;
  /** null: the row goes; 'none': there is nothing to break. */
  readonly change: (row: Row, system: System) => Row | null | 'none';
}

const number = (row: Row, column: string): number => row[column] as number;
const isOfPlayers = (row: Row): boolean => row['board'] !== SHARED_BOARD;

/** A row that is set back to no revision is seen by a view only if somebody compares: then it is void. */
const hasTrueViews = ({ world: { swarm } }: System): boolean => !swarm.hasView || swarm.healsViews;

/** Somebody of whom nothing else stands is not met by the walk: one row of a player always stays. */
const hasProfile = (row: Row, { store }: System): boolean =>
  store.row('player_profiles', keyText(row['game_id'], row['player_id'] ?? row['subject'])) !== null;

const KINDS: Readonly<Record<string, Kind>> = {
  'XP is another': {
    ...{ role: 'progression', table: 'player_progress' },
    change: (row, { world: { chance } }) => {
      const total_xp = chance.is(0.5)
        ? number(row, 'total_xp') * 2 + 1
        : Math.floor(number(row, 'total_xp') / 2);
      return { ...row, total_xp, ...(chance.is(0.5) ? { level: 1 } : {}) };
    },
  },
  'progress is lost': {
    ...{ role: 'progression', table: 'player_progress' },
    change: (row, system) => (hasProfile(row, system) ? null : 'none'),
  },
  'a gain is lost': { role: 'progression', table: 'progress_events', change: () => null },
  'a gain is another': {
    ...{ role: 'progression', table: 'progress_events' },
    change: (row) => ({ ...row, delta_xp: number(row, 'delta_xp') * 2 + 1 }),
  },
  'a receipt is lost': { role: 'progression', table: 'receipts', change: () => null },
  'a score is another': {
    ...{ role: 'leaderboard', table: 'board_scores', fits: isOfPlayers },
    change: (row, { world: { chance } }) =>
      chance.is(0.3)
        ? { ...row, reached_at: number(row, 'reached_at') - 1 }
        : { ...row, score: chance.is(0.5) ? number(row, 'score') * 2 + 1 : number(row, 'score') - 1 },
  },
  'a score is lost': {
    ...{ role: 'leaderboard', table: 'board_scores', fits: isOfPlayers, isFit: hasTrueViews },
    change: (row, system) => (hasProfile(row, system) ? null : 'none'),
  },
  'a score is invented': {
    ...{ role: 'leaderboard', table: 'board_scores', fits: isOfPlayers, isFit: hasTrueViews },
    change: (row, { store, world: { chance, swarm } }) => {
      const invented = {
        ...row,
        subject: `p-${String(chance.below(swarm.players))}`,
        score: 77,
        revision: 1,
      };
      const isThere = store.row('board_scores', scoreKeyOf(invented)) !== null;
      return isThere ? 'none' : invented;
    },
  },
  'a score of a guild is another': {
    ...{ role: 'leaderboard', table: 'board_scores', fits: (row) => !isOfPlayers(row) },
    isFit: ({ world: { swarm } }) => swarm.hasRebuild,
    change: (row) => ({ ...row, score: number(row, 'score') + 1 }),
  },
  'a profile counts less': {
    ...{ role: 'archive', table: 'player_profiles' },
    change: (row) => ({ ...row, events: number(row, 'events') - 1 }),
  },
  'a profile is lost': {
    ...{ role: 'archive', table: 'player_profiles' },
    change: (row, { store }) =>
      store.row('player_progress', keyText(row['game_id'], row['player_id'])) === null ? 'none' : null,
  },
};
