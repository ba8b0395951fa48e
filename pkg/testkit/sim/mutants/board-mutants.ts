import type { BoardKey } from '../../../leaderboard/port.js';
import type { ApplyOptions, Mark, ViewRow } from '../../../leaderboard/view-port.js';
import { boardId } from '../../../leaderboard/fold.js';
import type { Role, RoleEvent } from '../../../worker/port.js';
import type { Doubles } from '../doubles.js';
import { ViewServer } from '../view-server.js';
import type { World } from '../world.js';
import type { Mutant } from './mutant.js';

/** Every row is written, however old. */
class AnyRevisionWins extends ViewServer {
  protected override isNewer(): boolean {
    return true;
  }
}

/** ZINCRBY in place of a score with its revision. */
class Increments extends ViewServer {
  private readonly added = new Map<string, number>();

  override apply(
    key: BoardKey,
    rows: readonly ViewRow[],
    options: ApplyOptions,
    life: number,
  ): 'applied' | 'absent' | 'newer' {
    const summed = rows.map((row) => {
      const id = `${boardId(key)} ${row.subject}`;
      const before = this.added.get(id) ?? 0;
      const delta = options.build !== null ? row.score : row.score - Math.floor(row.score / 2);
      this.added.set(id, options.build !== null ? row.score : before + delta);
      return { ...row, score: this.added.get(id) ?? 0 };
    });
    return super.apply(key, summed, options, life);
  }
}

/** A hidden player is only removed. */
class NoTombstones extends ViewServer {
  override apply(
    key: BoardKey,
    rows: readonly ViewRow[],
    options: ApplyOptions,
    life: number,
  ): 'applied' | 'absent' | 'newer' {
    const result = super.apply(key, rows, options, life);
    if (result === 'applied') for (const { subject, hidden } of rows) if (hidden) this.forget(key, subject);
    return result;
  }
}

/** A build writes beside the view, and takes its place in one step at the end. */
class Renames extends ViewServer {
  private readonly aside = new Map<string, { epoch: number; rows: Map<string, ViewRow> }>();

  override begin(key: BoardKey, epoch: number, life: number): string | null {
    if ((this.standing(key, life)?.epoch ?? -1) >= epoch) return null;
    this.aside.set(boardId(key), { epoch, rows: new Map() });
    return 'aside';
  }

  override apply(
    key: BoardKey,
    rows: readonly ViewRow[],
    options: ApplyOptions,
    life: number,
  ): 'applied' | 'absent' | 'newer' {
    if (options.build === null) return super.apply(key, rows, options, life);
    const aside = this.aside.get(boardId(key));
    if (aside?.epoch !== options.epoch) return 'absent';
    for (const row of rows) aside.rows.set(row.subject, row);
    return 'applied';
  }

  override complete(key: BoardKey, epoch: number, _build: string, life: number): boolean {
    const aside = this.aside.get(boardId(key));
    if (aside?.epoch !== epoch) return false;
    this.aside.delete(boardId(key));
    const build = super.begin(key, epoch, life);
    if (build === null) return false;
    super.apply(key, [...aside.rows.values()], { epoch, build, expireAtMs: null }, life);
    return super.complete(key, epoch, build, life);
  }
}

/** Readers may use a view that is still being built. */
class CompleteAtOnce extends ViewServer {
  override begin(key: BoardKey, epoch: number, life: number): string | null {
    const build = super.begin(key, epoch, life);
    return build !== null && super.complete(key, epoch, build, life) ? build : null;
  }

  override complete(): boolean {
    return true;
  }
}

/** Now and then a view is lost while it is built, and the network repeats the command that began the build. */
class BegunAgain extends ViewServer {
  override apply(
    key: BoardKey,
    rows: readonly ViewRow[],
    options: ApplyOptions,
    life: number,
  ): 'applied' | 'absent' | 'newer' {
    const result = super.apply(key, rows, options, life);
    if (result === 'applied' && options.build !== null && this.world.chance.is(0.1)) {
      this.lose(key);
      this.begin(key, options.epoch, life);
    }
    return result;
  }
}

/** Whoever knows the epoch ends the build, begun again or not. */
class AnyBuild extends BegunAgain {
  protected override isOfBuild(): boolean {
    return true;
  }
}

/** What came back from an old disk is believed. */
class AnyLife extends ViewServer {
  override standing(key: BoardKey): Mark | null {
    return super.standing(key, this.lifeOf(key) ?? 0);
  }
}

const view =
  (make: new (world: World) => ViewServer): (() => Doubles) =>
  () => ({ view: (world) => new make(world) });

/** Only what was folded is refreshed: what a dead worker had committed and not refreshed never is. */
function refreshOfNewOnly<State, Changes>(role: Role<State, Changes>): Role<State, Changes> {
  const { refresh } = role;
  if (refresh === undefined) return role;
  const folded = new WeakSet<RoleEvent>();
  return {
    ...role,
    fold: (state, events) => {
      for (const event of events) folded.add(event);
      return role.fold(state, events);
    },
    refresh: (events) => refresh(events.filter((event) => folded.has(event))),
  };
}

/** The view is brought up to a truth that nobody can see yet. */
function refreshBeforeCommit<State, Changes>(role: Role<State, Changes>): Role<State, Changes> {
  const { refresh } = role;
  if (refresh === undefined) return role;
  let loaded: readonly RoleEvent[] = [];
  return {
    ...role,
    load: (sql, events) => {
      loaded = events;
      return role.load(sql, events);
    },
    save: async (sql, changes) => {
      await role.save(sql, changes);
      await refresh(loaded);
    },
    refresh: async () => undefined,
  };
}

const NOTHING_WAITS = { waiting: 0, oldestPublishedAtMs: null };

export const boardMutants: readonly Mutant[] = [
  {
    name: 'a stale revision wins in the view',
    focus: ['view.slow', 'view.applies-twice'],
    doubles: view(AnyRevisionWins),
  },
  { name: 'a bare increment in the view', doubles: view(Increments) },
  { name: 'a hidden player leaves no tombstone', doubles: view(NoTombstones) },
  { name: 'the view is rebuilt by RENAME', focus: ['view.slow', 'view.forgets-all'], doubles: view(Renames) },
  {
    name: 'a view is complete before it is built',
    focus: ['view.slow', 'view.forgets-all'],
    needs: ({ hasView }) => hasView,
    doubles: view(CompleteAtOnce),
  },
  {
    name: 'a build that was begun again is ended by the first',
    needs: ({ hasView }) => hasView,
    doubles: view(AnyBuild),
  },
  {
    name: 'a view that came back with old rows is believed',
    focus: ['view.forgets-tail'],
    doubles: view(AnyLife),
  },
  {
    name: 'no refresh for duplicates',
    focus: ['node.kill', 'db.commit-lost-after'],
    doubles: () => ({ role: refreshOfNewOnly }),
  },
  { name: 'the view is refreshed before the commit', doubles: () => ({ role: refreshBeforeCommit }) },
  {
    name: 'a refresh that failed leaves the view as it is',
    focus: ['view.fails-before', 'view.away'],
    doubles: () => ({ truth: (truth) => ({ ...truth, voidCycles: async () => undefined }) }),
  },
  {
    name: 'a cycle closes without its grace',
    doubles: () => ({
      snapshots: ({ definitions, ...others }) => ({
        ...others,
        definitions: {
          inForce: async (gameId, nowMs) => {
            const definition = await definitions.inForce(gameId, nowMs);
            return definition === null ? null : { ...definition, graceMs: 0 };
          },
          version: (gameId, version) => definitions.version(gameId, version),
        },
      }),
    }),
  },
  {
    name: 'a cycle closes while events wait',
    focus: ['bus.delay', 'db.slow', 'db.restart'],
    doubles: () => ({ snapshots: (options) => ({ ...options, lag: async () => NOTHING_WAITS }) }),
  },
  {
    name: 'a season closes at its old end after it was prolonged',
    doubles: () => ({
      snapshots: ({ definitions, ...others }) => ({
        ...others,
        definitions: {
          inForce: (gameId) => definitions.version(gameId, 1),
          version: (gameId, version) => definitions.version(gameId, version),
        },
      }),
    }),
  },
];
