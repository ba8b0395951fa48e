import type { BatchHandler, Delivery } from '../bus/port.js';
import type { AdmittedEvent } from '../contract/event.js';
import type { DefinitionSource, GameDefinition } from '../games/port.js';
import type { Clock } from '../kernel/clock.js';
import { OutageError, PoisonError } from '../kernel/errors.js';
import { laneOf } from '../kernel/lanes.js';
import { dead, ok, retry, type Outcome } from '../kernel/outcome.js';
import type { Random } from '../kernel/random.js';
import type { Database } from '../postgres/port.js';
import type { Logger, Metrics } from '../runtime/port.js';
import {
  countSettled,
  ensureMonth,
  enterInbox,
  isStatementTimeout,
  retryTransient,
  type InboxEntry,
  type LaneCount,
} from './inbox/postgres.js';
import { createDispatchMetrics, type DispatchMetrics } from './dispatch-metrics.js';
import { DedupeFloors } from './dedupe-floors/postgres.js';
import type { DeadLetters, Role, RoleEvent } from './port.js';
import { readEvent } from './read-event.js';

export interface DispatchOptions<State, Changes> {
  readonly db: Database;
  readonly role: Role<State, Changes>;
  readonly definitions: DefinitionSource;
  readonly deadLetters: DeadLetters;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

/** A delivery that enters the inbox, with its place in the batch. */
interface Entry {
  readonly index: number;
  readonly roleEvent: RoleEvent;
  readonly lane: number;
  /** Whether the role has work for it. */
  readonly isTaken: boolean;
}

/** What became of a batch so far. */
interface Progress {
  readonly outcomes: Outcome[];
  readonly settled: Entry[];
  /** Players of whom an event is out of time even alone: the error by player. */
  readonly stuck: Map<string, OutageError>;
  /** Identities of which an event is not settled: its content by identity. */
  readonly unsettled: Map<string, string>;
}

type Verdict = 'applied' | 'duplicate' | 'conflict';

/**
 * Turns a role into a handler of batches: one transaction that enters the inbox, folds what is new and saves it, then the
 * view, then the outcomes. An event that fails is bisected out, so that its neighbours take effect.
 *
 * The handler rejects with OutageError while a dependency is away. A commit of unknown outcome is one: the inbox knows
 * when the batch comes again. A statement that is out of time for a single event is an outage for its player alone: the
 * outcome of that event and of the player's later ones is a `retry` with the OutageError, so that their neighbours go on and
 * nothing becomes a dead letter; nobody can tell such an event from a slow server.
 */
export function createDispatch<State, Changes>(options: DispatchOptions<State, Changes>): BatchHandler {
  const dispatch = new Dispatch(options);
  return (batch) => dispatch.handle(batch);
}

const MONTHS_MAX = 1_200;
/** When so many players of a batch are stuck the server is slow for all: it is not asked event by event. */
const STUCK_MAX = 3;

class Dispatch<State, Changes> {
  private readonly metrics: DispatchMetrics;
  private readonly months = new Set<string>();
  private readonly floors: DedupeFloors;

  constructor(private readonly options: DispatchOptions<State, Changes>) {
    this.floors = new DedupeFloors(options.db, options.clock);
    this.metrics = createDispatchMetrics(options.metrics, options.role.name);
  }

  async handle(batch: readonly Delivery[]): Promise<readonly Outcome[]> {
    this.metrics.batch(batch.length);
    const outcomes = new Array<Outcome>(batch.length).fill(ok);
    const progress: Progress = { outcomes, settled: [], stuck: new Map(), unsettled: new Map() };
    const entries = await this.makeMonths(await this.sort(batch, progress), outcomes);
    await this.settle(entries, progress);
    await this.refresh(progress.settled);
    return outcomes;
  }

  /** Reads every delivery; what can never be applied is dead. */
  private async sort(
    batch: readonly Delivery[],
    { outcomes, unsettled }: Pick<Progress, 'outcomes' | 'unsettled'>,
  ): Promise<Entry[]> {
    const entries: Entry[] = [];
    const definitions = new Map<string, GameDefinition | Outcome>();
    const floors = new Map<string, string | null>();
    for (const [index, delivery] of batch.entries()) {
      const event = readOrBury(delivery);
      if ('kind' in event) {
        outcomes[index] = event;
        continue;
      }
      const version = `${String(event.definitionVersion)} ${event.gameId}`;
      const definition = definitions.get(version) ?? (await this.definitionOf(event));
      definitions.set(version, definition);
      if ('kind' in definition) {
        outcomes[index] = definition;
        unsettled.set(identityOf(event), event.contentHash);
        continue;
      }
      let floor = floors.get(event.gameId);
      if (floor === undefined)
        floors.set(event.gameId, (floor = await this.retried(() => this.floors.of(event.gameId))));
      const refusal = refusalOf(event, floor);
      if (refusal === null) {
        const isTaken = this.options.role.takes(definition, event.type, event.mapped);
        const lane = laneOf(event.gameId, event.playerId);
        entries.push({ index, roleEvent: { event, definition }, lane, isTaken });
      } else outcomes[index] = refusal;
    }
    return entries;
  }

  /** A version that cannot be read may be a moment away (a replica, a restart in between): it is tried again. */
  private async definitionOf(event: AdmittedEvent): Promise<GameDefinition | Outcome> {
    try {
      return await this.retried(() =>
        this.options.definitions.version(event.gameId, event.definitionVersion),
      );
    } catch (error) {
      if (error instanceof OutageError) throw error;
      return retry(error);
    }
  }

  /** The partitions of months this process has not met, made before the transaction that needs them. */
  private async makeMonths(entries: readonly Entry[], outcomes: Outcome[]): Promise<readonly Entry[]> {
    const failed = new Map<string, Outcome>();
    for (const { roleEvent } of entries) {
      const month = monthOf(roleEvent.event);
      if (this.months.has(month) || failed.has(month)) continue;
      try {
        await this.retried(() => ensureMonth(this.options.db, `${month}-01`));
        if (this.months.size >= MONTHS_MAX) this.months.clear();
        this.months.add(month);
      } catch (error) {
        if (error instanceof OutageError) throw error;
        failed.set(month, retry(error));
      }
    }
    if (failed.size === 0) return entries;
    return entries.filter(({ index, roleEvent }) => {
      const failure = failed.get(monthOf(roleEvent.event));
      if (failure !== undefined) outcomes[index] = failure;
      return failure === undefined;
    });
  }

  /** One transaction; when it fails for a reason in the events, two halves in their order, down to the one at fault. */
  private async settle(given: readonly Entry[], progress: Progress): Promise<void> {
    const { outcomes, settled, stuck, unsettled } = progress;
    const isAnyLeft = stuck.size > 0 || unsettled.size > 0;
    const entries = isAnyLeft ? given.filter((entry) => isFree(entry, progress)) : given;
    const [first] = entries;
    if (first === undefined) return;
    try {
      const { verdicts, changes } = await this.retried(() => this.transact(entries));
      for (const [i, one] of entries.entries()) {
        if (verdicts[i] === 'conflict') outcomes[one.index] = conflict;
        else settled.push(one);
      }
      this.metrics.settled(verdicts);
      if (changes !== null) this.metrics.made(this.options.role.made?.(changes) ?? {});
    } catch (error) {
      if (error instanceof OutageError && !isStatementTimeout(error)) throw error;
      if (entries.length === 1) {
        if (error instanceof OutageError) stuck.set(playerOf(first), error);
        if (stuck.size >= STUCK_MAX) throw error;
        unsettled.set(identityOf(first.roleEvent.event), first.roleEvent.event.contentHash);
        outcomes[first.index] = error instanceof PoisonError ? dead(error.code, error.message) : retry(error);
        return;
      }
      this.options.logger.warn(
        { role: this.options.role.name, events: entries.length, err: error },
        'a batch failed and is split',
      );
      const middle = Math.ceil(entries.length / 2);
      await this.settle(entries.slice(0, middle), progress);
      await this.settle(entries.slice(middle), progress);
    }
  }

  private transact(
    entries: readonly Entry[],
  ): Promise<{ readonly verdicts: readonly Verdict[]; readonly changes: Changes | null }> {
    const { db, role, deadLetters } = this.options;
    const { firsts, firstOf } = firstOfEachContent(entries);
    return db.transaction(async (sql) => {
      const rows = firsts.map(inboxEntry);
      const { standing, hasOpenLetters } = await enterInbox(sql, role.name, rows);
      const verdicts = judge(entries, firsts, firstOf, standing);
      const fresh = entries.filter((_, i) => verdicts[i] === 'applied');
      const work = eventsTaken(fresh);
      let changes: Changes | null = null;
      if (work.length > 0) {
        changes = role.fold(await role.load(sql, work), work);
        await role.save(sql, changes);
      }
      if (hasOpenLetters && fresh.length > 0)
        await deadLetters.closeApplied(sql, role.name, fresh.map(({ roleEvent }) => roleEvent.event)); // prettier-ignore
      await countSettled(sql, role.name, laneCounts(entries, verdicts));
      return { verdicts, changes };
    });
  }

  /** The effects stand by now, so a view that fails must not lead to dead letters: the role waits until it succeeds. */
  private async refresh(settled: readonly Entry[]): Promise<void> {
    const { role } = this.options;
    const work = eventsTaken(settled);
    if (role.refresh === undefined || work.length === 0) return;
    try {
      await role.refresh(work);
    } catch (error) {
      throw error instanceof OutageError ? error : new OutageError(`The view of ${role.name}`, error);
    }
  }

  private retried<T>(work: () => Promise<T>): Promise<T> {
    const { clock, random } = this.options;
    return retryTransient(work, { clock, random, onRetry: () => this.metrics.transactionRetried() });
  }
}

const conflict = dead('event_id_conflict', 'another event with this id came before');

function readOrBury(delivery: Delivery): AdmittedEvent | Outcome {
  try {
    return readEvent(delivery.body);
  } catch (error) {
    if (error instanceof PoisonError) return dead(error.code, error.message);
    throw error;
  }
}

/**
 * Whether nothing of the entry's player is out of time, and no other content of its identity without its end: the first content
 * decides for all roles, and until its dead letter is written nobody else knows of it. Otherwise it waits behind that.
 */
function isFree(entry: Entry, { stuck, unsettled, outcomes }: Progress): boolean {
  const { event } = entry.roleEvent;
  const isFirst = (unsettled.get(identityOf(event)) ?? event.contentHash) === event.contentHash;
  const error =
    stuck.get(playerOf(entry)) ?? (isFirst ? undefined : new OutageError('The event that had this id first'));
  if (error !== undefined) outcomes[entry.index] = retry(error);
  return error === undefined;
}

function refusalOf(event: AdmittedEvent, floor: string | null): Outcome | null {
  if (floor === null) return retry(new Error('the game of the event is unknown'));
  if (event.dedupeDay >= floor) return null;
  return dead('event_too_old', `its day is below the floor ${floor} of the game`);
}

const eventsTaken = (entries: readonly Entry[]): RoleEvent[] =>
  entries.filter(({ isTaken }) => isTaken).map(({ roleEvent }) => roleEvent);

const inboxEntry = ({ roleEvent: { event }, lane }: Entry): InboxEntry => {
  const { dedupeDay, identity, gameId, contentHash, definitionVersion } = event;
  return { dedupeDay, identity, gameId, lane, contentHash, definitionVersion };
};

const playerOf = ({ roleEvent: { event } }: Entry): string => `${event.gameId}\u0000${event.playerId}`;

const monthOf = (event: AdmittedEvent): string => event.dedupeDay.slice(0, 7);

const identityOf = ({ dedupeDay, identity }: AdmittedEvent): string => dedupeDay + identity;

interface Firsts {
  readonly firsts: readonly Entry[];
  /** For every entry the index in `firsts` of its content. */
  readonly firstOf: readonly number[];
}

function firstOfEachContent(entries: readonly Entry[]): Firsts {
  const indexes = new Map<string, number>();
  const firsts: Entry[] = [];
  const firstOf = entries.map((one) => {
    const { event } = one.roleEvent;
    const key = identityOf(event) + event.contentHash;
    const known = indexes.get(key);
    if (known !== undefined) return known;
    indexes.set(key, firsts.length);
    return firsts.push(one) - 1;
  });
  return { firsts, firstOf };
}

/** First wins: content other than what stands is a conflict. */
function judge(
  entries: readonly Entry[],
  firsts: readonly Entry[],
  firstOf: readonly number[],
  standing: ReadonlyMap<number, string>,
): Verdict[] {
  return entries.map((one, i) => {
    const place = firstOf[i] ?? 0;
    const stood = standing.get(place);
    if (stood !== undefined && stood !== one.roleEvent.event.contentHash) return 'conflict';
    return stood === undefined && firsts[place] === one ? 'applied' : 'duplicate';
  });
}

function laneCounts(entries: readonly Entry[], verdicts: readonly Verdict[]): LaneCount[] {
  const counts = new Map<number, { lane: number; applied: number; duplicate: number }>();
  for (const [i, { lane }] of entries.entries()) {
    const verdict = verdicts[i];
    if (verdict === undefined || verdict === 'conflict') continue;
    const count = counts.get(lane) ?? { lane, applied: 0, duplicate: 0 };
    counts.set(lane, count);
    count[verdict] += 1;
  }
  return [...counts.values()];
}
