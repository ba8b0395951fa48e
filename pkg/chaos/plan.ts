import type { Random } from '../kernel/random.js';
import { rivalOf, type History } from './history.js';

/**
 * What a load counts, beside its events: types other than experience, events hours to days late, such as must be refused, a
 * second content under a used id, single posts, Idempotency-Keys, and what is sent again.
 */
export const LOAD_KINDS = [
  'boss_kill',
  'drop_claimed',
  'late',
  'bad',
  'rival',
  'single',
  'with-key',
  'again-after-ok',
  'again-after-unknown',
  'in-another-batch',
  'refused',
  'rival-taken',
] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

export interface PlannedEvent {
  /** Its name in the history. */
  readonly key: string;
  /** `bad`: its payload is wrong; `rival`: its id belongs to another content, which was acknowledged. */
  readonly kind: 'good' | 'bad' | 'rival';
  readonly body: Readonly<Record<string, unknown>>;
}

export interface PlannedRequest {
  readonly events: readonly PlannedEvent[];
  readonly idempotencyKey: string | null;
}

export interface PlanOptions {
  /** Begins the ids of its events: apart from those of other plans. */
  readonly name: string;
  readonly players: number;
  readonly random: Random;
}

const EVENTS_PER_REQUEST_MAX = 8;
const RECENT_MAX = 400;
/** With so many unanswered nothing new is made. */
const OWED_MAX = 100;
const OWED_PER_REQUEST_MAX = 16;
const SHARE = { bad: 0.06, late: 0.15, rival: 0.15, single: 0.15, key: 0.3 };
const LATE_MS = { least: 3_600_000, spread: 3 * 86_400_000 };
const GUILDS = 5;
/** Far more than any good event gives: it would show in every sum. */
const RIVAL_XP = 100_000;
const BOSSES = ['hydra', 'golem', 'wyrm'] as const;

/** What one client sends next, by its seed and by what it was told. Sends nothing and knows no time of its own. */
export class LoadPlan {
  private requests = 0;
  private readonly recent: PlannedEvent[] = [];
  /** Sent without an answer, and not again since. */
  private readonly owed: PlannedEvent[] = [];

  constructor(
    private readonly options: PlanOptions,
    private readonly history: History,
  ) {}

  /** A request with new events, some that were sent before, and some that nobody may take. Counts in the history what it makes. */
  next(nowMs: number): PlannedRequest {
    this.requests += 1;
    if (this.recent.length > RECENT_MAX) this.recent.splice(0, RECENT_MAX / 2);
    if (this.owed.length >= OWED_MAX) return this.request(this.takeOwed());
    const rivals = this.chance(SHARE.rival) ? this.rivals() : [];
    if (this.chance(SHARE.single)) return this.request(rivals.length > 0 ? rivals : this.fresh(1, nowMs));
    const fresh = this.fresh(1 + this.roll(EVENTS_PER_REQUEST_MAX), nowMs);
    return this.request([...fresh, ...this.again(fresh.length), ...rivals, ...this.takeOwed()]);
  }

  /** What is left to send when nothing new is made any more; null when all was answered. */
  last(): PlannedRequest | null {
    this.requests += 1;
    return this.owed.length === 0 ? null : this.request(this.takeOwed());
  }

  /** No answer came, and the request is given up: its events go into others. */
  owe(events: readonly PlannedEvent[]): void {
    this.owed.push(...events);
  }

  /** Whether a good event may be refused all the same: where a gateway met its rival first. */
  hasRival = ({ key }: PlannedEvent): boolean => this.history.answerOf(rivalOf(key)) !== null;

  private fresh(count: number, nowMs: number): PlannedEvent[] {
    const { name } = this.options;
    const events = Array.from({ length: count }, (_, n) =>
      this.event(`${name}-${String(this.requests)}-${String(n)}`, nowMs),
    );
    this.recent.push(...events.filter(({ kind }) => kind === 'good'));
    return events;
  }

  private event(id: string, nowMs: number): PlannedEvent {
    const isLate = this.chance(SHARE.late);
    if (isLate) this.count('late');
    const ts = isLate ? nowMs - LATE_MS.least - this.roll(LATE_MS.spread) : nowMs;
    const playerId = `crash-${String(this.roll(this.options.players))}`;
    const event = { id, playerId, ts };
    if (!this.chance(SHARE.bad)) return { key: id, kind: 'good', body: { ...event, ...this.effect(id) } };
    this.count('bad');
    return { key: id, kind: 'bad', body: { ...event, type: 'progression', payload: { deltaXp: -1 } } };
  }

  /** Types that touch several boards: experience of players and guilds, times of bosses, and what gives rewards. */
  private effect(id: string): { readonly type: string; readonly payload: Readonly<Record<string, unknown>> } {
    const dice = this.roll(10);
    if (dice < 7) {
      const activity = `guild-${String(this.roll(GUILDS))}`;
      return { type: 'progression', payload: { deltaXp: 1 + this.roll(20), activity } };
    }
    if (dice < 9) {
      this.count('boss_kill');
      const bossId = BOSSES[this.roll(BOSSES.length)];
      return { type: 'boss_kill', payload: { bossId, durationMs: 60_000 + this.roll(60_000) } };
    }
    this.count('drop_claimed');
    // Some are claimed twice, by other events: the reward is given once.
    const dropId = this.chance(0.5) ? `drop-${String(this.roll(20))}` : id;
    return {
      type: 'drop_claimed',
      payload: { dropId, itemId: 'gem', rarity: 'rare', quantity: 1 + this.roll(3) },
    };
  }

  private again(count: number): PlannedEvent[] {
    const events = new Set<PlannedEvent>();
    for (let n = 0; n < count; n += 1) {
      const event = this.recent[this.roll(this.recent.length)];
      // What is unknown still goes again by itself, from among those owed.
      if (event !== undefined && this.history.answerOf(event.key) === 'ok') events.add(event);
    }
    this.count('again-after-ok', events.size);
    return [...events];
  }

  /** Other content under the id of an event that was acknowledged: so there is no doubt which of the two is the first. */
  private rivals(): PlannedEvent[] {
    const first = this.recent[this.roll(this.recent.length)];
    if (first === undefined || this.history.answerOf(first.key) !== 'ok' || this.hasRival(first)) return [];
    this.count('rival');
    const payload = { ...(first.body['payload'] as object), deltaXp: RIVAL_XP, rival: true };
    return [{ key: rivalOf(first.key), kind: 'rival', body: { ...first.body, payload } }];
  }

  private takeOwed(): PlannedEvent[] {
    const events = this.owed.splice(0, OWED_PER_REQUEST_MAX);
    this.count('again-after-unknown', events.length);
    this.count('in-another-batch', events.length);
    return events;
  }

  private request(events: readonly PlannedEvent[]): PlannedRequest {
    this.count('single', events.length === 1 ? 1 : 0);
    if (!this.chance(SHARE.key)) return { events, idempotencyKey: null };
    this.count('with-key');
    return { events, idempotencyKey: `${this.options.name}-${String(this.requests)}` };
  }

  private count(kind: LoadKind, times = 1): void {
    this.history.did(kind, times);
  }

  private roll(sides: number): number {
    return Math.floor(this.options.random.unit() * sides);
  }

  private chance(share: number): boolean {
    return this.options.random.unit() < share;
  }
}
