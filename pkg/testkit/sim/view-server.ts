import type { Board } from '../../games/port.js';
import { boardId } from '../../leaderboard/fold.js';
import type { BoardKey } from '../../leaderboard/port.js';
import type { ApplyOptions, BoardViewStore, Mark, ViewRow } from '../../leaderboard/view-port.js';
import type { SimNode } from './node.js';
import type { World } from './world.js';

/** What `board-*.lua` keeps of a subject: the member is null where it is hidden. */
export interface ViewEntry {
  readonly revision: number;
  readonly place: { readonly score: number; readonly reachedAtMs: number } | null;
}

interface ViewKeys {
  /** The sorted set. */
  rank: Set<string> | null;
  /** The hash; `visible` is the field that tells how many members the sorted set has, `build` the one that names the build. */
  rows: { readonly entries: Map<string, ViewEntry>; visible: number; readonly build: string } | null;
  mark: (Mark & { readonly life: number; readonly untilMs: number; readonly begunAtMs: number }) | null;
}

const BUILD_LEASE_MS = 30_000;

/** No connection, or none any more. */
export class RedisAway extends Error {
  override readonly name = 'RedisAway';

  constructor() {
    super('Redis is away');
  }
}

/** One Redis with the scripts of pkg/redis/board-*.lua. It forgets what a test of faults lets it forget. */
export class ViewServer {
  isUp = true;
  /** Its run_id: marks of another life are not trusted. */
  life = 1;
  private views = new Map<string, ViewKeys>();
  private saved = new Map<string, ViewKeys>();
  private builds = 0;

  constructor(protected readonly world: World) {}

  /** `standing()` of board.lua. */
  standing(key: BoardKey, life: number): Mark | null {
    const view = this.views.get(boardId(key));
    const mark = view?.mark ?? null;
    if (view === undefined || mark === null || mark.life !== life || mark.untilMs <= this.world.nowMs)
      return null;
    return view.rows !== null && view.rows.visible === (view.rank?.size ?? 0) ? mark : null;
  }

  /** The name of the build; null when another has this epoch or a later one. */
  begin(key: BoardKey, epoch: number, life: number): string | null {
    const standing = this.standing(key, life);
    if (standing !== null && standing.epoch >= epoch) return null;
    this.builds += 1;
    const build = String(this.builds);
    const untilMs = this.world.nowMs + BUILD_LEASE_MS;
    this.views.set(boardId(key), {
      rank: null,
      rows: { entries: new Map(), visible: 0, build },
      mark: { epoch, state: 'building', life, untilMs, begunAtMs: this.world.nowMs },
    });
    return build;
  }

  /** `isOfBuild()` of board.lua. */
  protected isOfBuild(key: BoardKey, build: string): boolean {
    return this.views.get(boardId(key))?.rows?.build === build;
  }

  apply(
    key: BoardKey,
    rows: readonly ViewRow[],
    { epoch, build }: ApplyOptions,
    life: number,
  ): 'applied' | 'absent' | 'newer' {
    const standing = this.standing(key, life);
    const view = this.views.get(boardId(key));
    if (standing === null || view === undefined || view.rows === null || standing.epoch < epoch)
      return 'absent';
    if (standing.epoch > epoch) return 'newer';
    if (build !== null && !this.isOfBuild(key, build)) return 'absent';
    const { entries } = view.rows;
    view.rank ??= new Set();
    for (const row of rows) {
      if (!this.isNewer(row, entries.get(row.subject))) continue;
      const { score, reachedAtMs } = row;
      entries.set(row.subject, { revision: row.revision, place: row.hidden ? null : { score, reachedAtMs } });
      if (row.hidden) view.rank.delete(row.subject);
      else view.rank.add(row.subject);
    }
    view.rows.visible = view.rank.size;
    if (standing.state === 'building' && build !== null && view.mark !== null)
      view.mark = { ...view.mark, untilMs: this.world.nowMs + BUILD_LEASE_MS };
    return 'applied';
  }

  protected isNewer(row: ViewRow, stored: ViewEntry | undefined): boolean {
    return stored === undefined || row.revision > stored.revision;
  }

  /** What a script that drops a subject would do. */
  protected forget(key: BoardKey, subject: string): void {
    this.views.get(boardId(key))?.rows?.entries.delete(subject);
  }

  /** All three keys of a view are gone. */
  protected lose(key: BoardKey): void {
    this.views.delete(boardId(key));
  }

  /** The life that the mark of a view was written in. */
  protected lifeOf(key: BoardKey): number | null {
    return this.views.get(boardId(key))?.mark?.life ?? null;
  }

  complete(key: BoardKey, epoch: number, build: string, life: number): boolean {
    const standing = this.standing(key, life);
    const view = this.views.get(boardId(key));
    const mark = view?.mark ?? null;
    if (view === undefined || mark === null || standing?.epoch !== epoch || standing.state !== 'building')
      return false;
    if (!this.isOfBuild(key, build)) return false;
    view.mark = { ...mark, state: 'complete', untilMs: Infinity };
    return true;
  }

  /** What readers may use: the entries of a view that is whole and of this epoch. */
  whole(key: BoardKey, epoch: number): ReadonlyMap<string, ViewEntry> | null {
    const standing = this.standing(key, this.life);
    if (standing?.epoch !== epoch || standing.state !== 'complete') return null;
    return this.views.get(boardId(key))?.rows?.entries ?? null;
  }

  /** Somebody changes an entry behind everybody's back: it is gone, or of a revision that never was. Answers whose. */
  tamper(key: BoardKey): string | null {
    const { chance } = this.world;
    const view = this.views.get(boardId(key));
    const rows = view?.rows ?? null;
    if (view === undefined || rows === null || rows.entries.size === 0) return null;
    const [subject, entry] = chance.pick([...rows.entries]);
    if (chance.is(0.5)) rows.entries.set(subject, { ...entry, revision: entry.revision + 7 });
    else {
      rows.entries.delete(subject);
      if (view.rank?.delete(subject) === true) rows.visible -= 1;
    }
    return subject;
  }

  /** When the build of a view began. */
  begunAtMs(key: BoardKey): number {
    return this.views.get(boardId(key))?.mark?.begunAtMs ?? Infinity;
  }

  /** FLUSHALL, or a restart without a disk. */
  forgetAll(): void {
    this.views.clear();
    if (this.world.chance.is(0.5)) this.life += 1;
  }

  /** What a replica or a disk has that lags behind. */
  save(): void {
    this.saved = new Map([...this.views].map(([id, view]) => [id, copyOf(view)]));
  }

  /** A restart from the disk, or a failover: the end is gone, and it is another life. */
  forgetTail(): void {
    this.views = new Map([...this.saved].map(([id, view]) => [id, copyOf(view)]));
    this.life += 1;
  }

  /** An eviction takes any of the three keys. */
  loseKey(): void {
    const { chance } = this.world;
    if (this.views.size === 0) return;
    const view = chance.pick([...this.views.values()]);
    view[chance.pick(['rank', 'rows', 'mark'] as const)] = null;
  }
}

const copyOf = ({ rank, rows, mark }: ViewKeys): ViewKeys => ({
  rank: rank === null ? null : new Set(rank),
  rows: rows === null ? null : { ...rows, entries: new Map(rows.entries) },
  mark,
});

/** One process's connection to the view. */
export function createSimView(node: SimNode, server: ViewServer): BoardViewStore {
  const { world } = node;
  const { chance } = world;
  const latencyMs = (): number =>
    world.swarm.latencyMs * chance.between(0.1, 1) +
    (world.strikes('view.slow') ? chance.between(5, 2_000) : 0);

  const call = <T>(point: string, act: (life: number) => T): Promise<T> => {
    const { life } = server;
    return node.ask<T>(point, ({ resolve, reject }) => {
      world.after(latencyMs(), `${node.name} ${point}`, () => {
        if (!server.isUp || life !== server.life || world.strikes('view.fails-before'))
          return reject(new RedisAway());
        const answer = act(life);
        if (world.strikes('view.applies-twice')) {
          world.after(chance.between(0, 500), `${node.name} ${point} again`, () => {
            if (server.isUp && life === server.life) act(life);
          });
        }
        if (world.strikes('view.fails-after')) return reject(new Error('the answer of Redis was lost'));
        resolve(answer);
      });
    });
  };

  return {
    isAway: () => !server.isUp,
    begin: (key, epoch) => call('view begin', (life) => server.begin(key, epoch, life)),
    apply: (key, _order: Board['order'], rows, options) =>
      call('view apply', (life) => server.apply(key, rows, options, life)),
    complete: (key, epoch, build) =>
      call('view complete', (life) => server.complete(key, epoch, build, life)),
    marks: (keys) => call('view marks', (life) => keys.map((key) => server.standing(key, life))),
    read: () => Promise.reject(new Error('readers of the simulation look at the server itself')),
  };
}
