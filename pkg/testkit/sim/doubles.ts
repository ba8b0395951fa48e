import type { IdempotencyStore, RateLimiter } from '../../admission/port.js';
import type { BatchHandler, Bus } from '../../bus/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { SnapshotOptions } from '../../leaderboard/snapshots.js';
import type { BoardTruth } from '../../leaderboard/view-port.js';
import type { Database } from '../../postgres/port.js';
import type { ReplayOptions } from '../../replay/replay.js';
import type { Marks } from '../../worker/crash-guard/port.js';
import type { DeadLetters, Rederivation, Role } from '../../worker/port.js';
import type { ReconcilerOptions } from '../../worker/reconcile/reconcile.js';
import type { ConsumeOptions } from '../../worker/resubmissions/consume.js';
import type { Broker } from './broker.js';
import type { Meaning } from './store/meaning.js';
import type { BusKind } from './swarm.js';
import type { ViewServer } from './view-server.js';
import type { World } from './world.js';

/** A limiter that tells how many buckets it holds. */
export interface BoundedLimiter extends RateLimiter {
  readonly size: number;
}

/** Stand-ins for parts of a world: how a deliberate bug comes in. What is left out is the real thing. */
export interface Doubles {
  /** Other meanings of statements, by the names they were taught under. */
  readonly statements?: Readonly<Record<string, Meaning>>;
  role?<State, Changes>(role: Role<State, Changes>, clock: Clock): Role<State, Changes>;
  handler?(handler: BatchHandler): BatchHandler;
  publisher?(bus: Pick<Bus, 'publish'>): Pick<Bus, 'publish'>;
  /** What a member acknowledges, given what was settled. */
  acknowledged?(settled: readonly boolean[]): readonly boolean[];
  letters?(letters: DeadLetters, db: Database): DeadLetters;
  database?(db: Database): Database;
  truth?(truth: BoardTruth): BoardTruth;
  snapshots?(options: SnapshotOptions): SnapshotOptions;
  idempotency?(store: IdempotencyStore): IdempotencyStore;
  broker?(world: World, kind: BusKind): Broker;
  view?(world: World): ViewServer;
  marks?(marks: Marks): Marks;
  limiter?(limiter: RateLimiter): BoundedLimiter;
  consume?(options: ConsumeOptions): ConsumeOptions;
  reconciler?(options: ReconcilerOptions): ReconcilerOptions;
  /** What makes a role's effects on a player again. */
  rederivation?<State>(rederivation: Rederivation<State>, db: Database): Rederivation<State>;
  /** @param save writes another line into the checkpoint */
  replay?(options: ReplayOptions, save: (line: number) => void): ReplayOptions;
  /** What a client sends in place of what it means to send, at this attempt. */
  wire?(body: string, attempt: number): string;
}
