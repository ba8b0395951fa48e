import type { MinuteCount, RefusalKind } from './port.js';

/** Reasons and builds of a game that are told apart within a minute; then a reason's builds share `other`. */
export const PAIRS_MAX = 64;
/** Counts that wait to be written, over all games. */
export const COUNTS_MAX = 10_000;

const BUILD = /^[A-Za-z0-9._+-]{1,32}$/;
const OTHER = 'other';
const MINUTE_MS = 60_000;

/** Counts all refusals by game, minute, reason and build. What a client says of its build makes no rows without end. */
export class MinuteCounts {
  #counts = new Map<string, MinuteCount>();
  /** Of the minute that is being counted, by game. */
  readonly #pairs = new Map<string, Set<string>>();
  #minuteMs = 0;

  get size(): number {
    return this.#counts.size;
  }

  /** False: there is no room for one more count, and this one is lost. */
  add({ gameId, code, build, atMs }: Omit<RefusalKind, 'isVerified'>): boolean {
    const minuteMs = atMs - (atMs % MINUTE_MS);
    if (minuteMs !== this.#minuteMs) {
      this.#minuteMs = minuteMs;
      this.#pairs.clear();
    }
    return this.#sum({ gameId, minuteMs, code, build: this.#labelOf(gameId, code, build), events: 1 });
  }

  /** Takes the oldest `count` at most. */
  take(count: number): MinuteCount[] {
    const taken: MinuteCount[] = [];
    for (const [key, one] of this.#counts) {
      if (taken.length === count) break;
      taken.push(one);
      this.#counts.delete(key);
    }
    return taken;
  }

  #labelOf(gameId: string, code: string, build: string | null): string {
    if (build === null) return '';
    if (!BUILD.test(build)) return OTHER;
    let pairs = this.#pairs.get(gameId);
    if (pairs === undefined) this.#pairs.set(gameId, (pairs = new Set()));
    const pair = `${code} ${build}`;
    if (pairs.has(pair)) return build;
    if (pairs.size >= PAIRS_MAX) return OTHER;
    pairs.add(pair);
    return build;
  }

  #sum(more: MinuteCount): boolean {
    const key = `${String(more.minuteMs)} ${more.gameId} ${more.code} ${more.build}`;
    const known = this.#counts.get(key);
    if (known === undefined && this.#counts.size >= COUNTS_MAX) return false;
    this.#counts.set(key, { ...more, events: more.events + (known?.events ?? 0) });
    return true;
  }
}
