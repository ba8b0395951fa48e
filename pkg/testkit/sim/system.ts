import { MemoryIdempotencyStore, MemoryRateLimiter } from '../../admission/memory.js';
import type { IdempotencyStore } from '../../admission/port.js';
import { DEFAULT_INGEST_LIMITS } from '../../ingest/limits.js';
import { createIngestListener, type IngestListener } from '../../ingest/listener.js';
import { OutageError } from '../../kernel/errors.js';
import { setHidden } from '../../leaderboard/hide.js';
import { postgresPlayerStates } from '../../leaderboard/hide.postgres.js';
import { postgresBoardTruth } from '../../leaderboard/truth.postgres.js';
import { BoardView } from '../../leaderboard/view.js';
import type { BoardTruth } from '../../leaderboard/view-port.js';
import { isTransient } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { createDeadLetters } from '../../worker/dead-letters/postgres.js';
import type { DeadLetters } from '../../worker/port.js';
import { quietMetrics, quietRefusals } from '../quiet.js';
import { Broker } from './broker.js';
import { createSimBus } from './bus.js';
import { knock, type SimAnswer, type SimRequest } from './door.js';
import { Damage } from './damage.js';
import type { BoundedLimiter, Doubles } from './doubles.js';
import { definitionsOf, keyRing } from './game.js';
import { Hands } from './hands.js';
import { History } from './history.js';
import { SimLog } from './log.js';
import { SimNode } from './node.js';
import { operate } from './operator.js';
import { healWhileItRuns, type ViewHealer } from './self-healing.js';
import { SimClient, type Send } from './players.js';
import { Replayer } from './replayer.js';
import { SimDatabase } from './store/client.js';
import { StoreServer } from './store/server.js';
import { seedGames } from './store/seed-games.js';
import { rebuildWhileItRuns, TruthWatch } from './truth-healing.js';
import { createSimView, ViewServer } from './view-server.js';
import { Witness } from './witness.js';
import { composeWorker } from './worker.js';
import type { World } from './world.js';

export const VIEW_CHECK_MS = 15_000;
const CLIENT_TIMEOUT_MS = 15_000;
const CRASHED_MS = 1_500;

/** Everything that runs in one world: the parts of production, wired as cmd/ wires them, on simulated servers. */
export class System {
  readonly store: StoreServer;
  readonly broker: Broker;
  readonly view: ViewServer;
  readonly history = new History();
  readonly log: SimLog;
  readonly gateways: SimNode[] = [];
  readonly workers: SimNode[] = [];
  readonly clients: SimClient[] = [];
  readonly admin: SimNode;
  readonly replayer: Replayer;
  readonly hands = new Hands();
  /** What somebody broke in the truth. */
  readonly damage: Damage;
  readonly truthWatch: TruthWatch;
  /** A fault of the simulator itself, or an error that nothing handled. */
  bug: Error | null = null;
  /** Decisions that somebody has begun to carry out. */
  adminsAtWork = 0;
  readonly witness = new Witness(this);
  private readonly listeners = new Map<SimNode, IngestListener>();
  private readonly idempotency: IdempotencyStore;
  readonly keys: MemoryIdempotencyStore;
  readonly limiters = new Set<BoundedLimiter>();

  constructor(
    readonly world: World,
    readonly doubles: Doubles = {},
  ) {
    this.store = new StoreServer(world, doubles.statements);
    this.broker = doubles.broker?.(world, world.swarm.bus) ?? new Broker(world, world.swarm.bus);
    this.view = doubles.view?.(world) ?? new ViewServer(world);
    this.log = new SimLog(world);
    this.damage = new Damage(this);
    this.truthWatch = new TruthWatch(this);
    seedGames(this.store);
    const server = new SimNode(world, 'redis');
    server.start();
    const { keysMax: maxKeys } = world.swarm;
    this.keys = new MemoryIdempotencyStore({ clock: server.clock, random: world.chance, maxKeys });
    this.idempotency = doubles.idempotency?.(this.keys) ?? this.keys;
    const { gateways, workers, clients } = world.swarm;
    for (let n = 1; n <= gateways; n += 1) this.startGateway(new SimNode(world, `gateway-${String(n)}`));
    for (let n = 1; n <= workers; n += 1) this.startWorker(new SimNode(world, `worker-${String(n)}`));
    for (let n = 1; n <= clients; n += 1) this.startClient(`c${String(n)}`);
    this.admin = new SimNode(world, 'admin');
    this.startAdmin(this.admin);
    const send: Send = (request) => this.overNetwork(this.replayer.node, request);
    this.replayer = new Replayer(world, this.history, send, doubles.replay);
    this.startReplay();
  }

  /** @throws nothing: a broken promise ends the run */
  look(): void {
    this.guarded(() => this.witness.look());
  }

  /** A check whose failure ends the run, wherever it is called from. */
  guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.failed(error);
    }
  }

  readonly failed = (error: unknown): void => {
    this.bug ??= error instanceof Error ? error : new Error(String(error));
  };

  private startClient(name: string): void {
    const send: Send = (request) => this.overNetwork(client.node, request);
    const client: SimClient = new SimClient(this.world, name, this.history, send, this.doubles.wire);
    this.clients.push(client);
    client.run().catch(this.failed);
  }

  startGateway(node: SimNode): void {
    const { world } = this;
    if (!this.gateways.includes(node)) this.gateways.push(node);
    node.start();
    const db = this.databaseOf(node);
    const deadLetters = this.lettersOf(db);
    const bus = createSimBus({ node, broker: this.broker, deadLetters, logger: this.log, batchMax: 1 });
    const memory = new MemoryRateLimiter({ clock: node.clock, maxBuckets: world.swarm.bucketsMax });
    const limiter = this.doubles.limiter?.(memory) ?? memory;
    this.limiters.add(limiter);
    const listener = createIngestListener({
      ...{ keyRing, definitions: definitionsOf(node), addressLimiter: limiter, limiter },
      bus: this.doubles.publisher?.(bus) ?? bus,
      loadGate: { overload: null, publishWaitMs: () => 0 },
      ...{ idempotency: this.idempotency, clock: node.clock, random: node.random },
      ...{ metrics: quietMetrics, logger: this.log, clientAddress: () => '10.0.0.1' },
      ...{ refusals: quietRefusals, tracer: null, signedPathPrefix: '', corsOrigins: [] },
      limits: { ...DEFAULT_INGEST_LIMITS, recentEvents: world.swarm.recentEvents },
    });
    this.listeners.set(node, listener);
  }

  startWorker(node: SimNode): void {
    if (!this.workers.includes(node)) this.workers.push(node);
    node.start();
    composeWorker(this, node).catch(this.failed);
  }

  /** An event was the end of a process, healed world or not; somebody starts it again. */
  crash(node: SimNode): void {
    this.kill(node);
    this.world.after(CRASHED_MS, `${node.name} is started again`, () => this.revive(node));
  }

  kill(node: SimNode): void {
    if (!node.isUp) return;
    this.hands.died(node);
    node.kill();
  }

  /** Starts a node that is down. */
  revive(node: SimNode): void {
    if (node.isUp) return;
    if (this.gateways.includes(node)) this.startGateway(node);
    else if (node === this.admin) this.startAdmin(node);
    else if (node === this.replayer.node) this.startReplay();
    else this.startWorker(node);
  }

  /** Somebody hides players and shows them again; each call is tried until it succeeds, as docs/operations.md says. */
  startAdmin(node: SimNode): void {
    const { world } = this;
    const { chance } = world;
    node.start();
    const db = this.databaseOf(node);
    this.adminsAtWork = 0;
    const players = postgresPlayerStates(db);
    const view = this.viewOf(node, db);
    const work = async (): Promise<void> => {
      while (!world.isHealed) {
        await node.clock.sleep(chance.between(0, 20_000) * world.swarm.pace);
        if (world.isHealed) return;
        const playerId = `p-${String(chance.below(world.swarm.players))}`;
        const request = { gameId: 'demo', playerId, hidden: chance.is(0.5), by: 'admin', reason: null };
        this.adminsAtWork += 1;
        while (!(await setHidden({ players, view }, request).then(() => true, isOutage)))
          await node.clock.sleep(1_000);
        this.adminsAtWork -= 1;
      }
    };
    work().catch(this.failed);
    if (world.swarm.hasOperator) operate(this, node, db).catch(this.failed);
    if (world.swarm.hasRebuild) rebuildWhileItRuns(this, node).catch(this.failed);
    if (world.swarm.hasView) healWhileItRuns(this, this.healerOf(node, db)).catch(this.failed);
  }

  /** What compares the views with the truth. */
  healerOf(node: SimNode, db: Database): ViewHealer {
    return { node, truth: this.truthOf(db), view: this.viewOf(node, db) };
  }

  private startReplay(): void {
    this.replayer.run().catch(this.failed);
  }

  /** A process's view of the boards. */
  viewOf(node: SimNode, db: Database): BoardView {
    return new BoardView({
      truth: this.truthOf(db),
      store: this.world.swarm.hasView ? createSimView(node, this.view) : null,
      ...{
        definitions: definitionsOf(node),
        clock: node.clock,
        log: this.log,
        checkIntervalMs: VIEW_CHECK_MS,
      },
    });
  }

  /** @param label what its calls are counted under when the process is killed at them */
  databaseOf(node: SimNode, label?: 'heal'): Database {
    const db = new SimDatabase(node, this.store, this.failed, label);
    return this.doubles.database?.(db) ?? db;
  }

  lettersOf(db: Database): DeadLetters {
    const letters = createDeadLetters({ db, codeVersion: 'sim' });
    return this.doubles.letters?.(letters, db) ?? letters;
  }

  private truthOf(db: Database): BoardTruth {
    const truth = postgresBoardTruth(db);
    return this.doubles.truth?.(truth) ?? truth;
  }

  /** A client's request through a network that loses things. */
  private overNetwork(client: SimNode, request: SimRequest): Promise<SimAnswer | null> {
    const { world } = this;
    const latencyMs = (): number => world.swarm.latencyMs * world.chance.between(0.5, 5);
    return client.ask<SimAnswer | null>('request', ({ resolve }) => {
      const timeout = world.after(CLIENT_TIMEOUT_MS, `${client.name} hears nothing`, () => resolve(null));
      const gateway = world.chance.pick(this.gateways);
      world.after(latencyMs(), `${client.name} -> ${gateway.name}`, () => {
        const listener = this.listeners.get(gateway);
        if (!gateway.isUp || listener === undefined || world.strikes('net.request-lost')) return;
        const { life } = gateway;
        world.wantsTurns();
        knock(listener, request, (answer) => {
          if (life !== gateway.life || world.strikes('net.answer-lost')) return;
          world.after(latencyMs(), `${client.name} <- ${String(answer.status)}`, () => {
            timeout.act = null;
            resolve(answer);
          });
        });
      });
    });
  }
}

/** Of an outage the caller tries again; anything else is a mistake. */
function isOutage(error: unknown): boolean {
  if (error instanceof OutageError || isTransient(error)) return false;
  throw error;
}
