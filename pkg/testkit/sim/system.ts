import { MemoryIdempotencyStore, MemoryRateLimiter } from '../../admission/memory.js';
import type { IdempotencyStore } from '../../admission/port.js';
import { archiveRole } from '../../archive/role.js';
import type { BatchHandler } from '../../bus/port.js';
import { fairnessRole } from '../../fairness/role.js';
import { DEFAULT_INGEST_LIMITS } from '../../ingest/limits.js';
import { createIngestListener, type IngestListener } from '../../ingest/listener.js';
import { OutageError } from '../../kernel/errors.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import { setHidden } from '../../leaderboard/hide.js';
import { postgresPlayerStates } from '../../leaderboard/hide.postgres.js';
import { leaderboardRole } from '../../leaderboard/role.js';
import { runSnapshots, type SnapshotOptions } from '../../leaderboard/snapshots.js';
import { postgresSnapshots } from '../../leaderboard/snapshots.postgres.js';
import { postgresBoardTruth } from '../../leaderboard/truth.postgres.js';
import { BoardView } from '../../leaderboard/view.js';
import type { BoardTruth } from '../../leaderboard/view-port.js';
import { isTransient } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { createProgressionRole } from '../../progression/role.js';
import { createDeadLetters } from '../../worker/dead-letters/postgres.js';
import { createDispatch } from '../../worker/dispatch.js';
import type { DeadLetters, Role } from '../../worker/port.js';
import { quietMetrics } from '../quiet.js';
import { Broker } from './broker.js';
import { createSimBus } from './bus.js';
import { knock, type SimAnswer, type SimRequest } from './door.js';
import type { Doubles } from './doubles.js';
import { DEDUPE_FLOOR, definitionsOf, GAMES, keyRing } from './game.js';
import { History } from './history.js';
import { SimLog } from './log.js';
import { SimNode } from './node.js';
import { SimClient, type Send } from './players.js';
import { resubmit } from './resubmit.js';
import { simSigner } from './signer.js';
import { SimDatabase } from './store/client.js';
import { StoreServer } from './store/server.js';
import { createSimView, ViewServer } from './view-server.js';
import { Witness } from './witness.js';
import type { World } from './world.js';

const VIEW_CHECK_MS = 5_000;
const CLIENT_TIMEOUT_MS = 15_000;

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
  /** A fault of the simulator itself, or an error that nothing handled. */
  bug: Error | null = null;
  private readonly witness = new Witness(this);
  private readonly listeners = new Map<SimNode, IngestListener>();
  private readonly idempotency: IdempotencyStore;

  constructor(
    readonly world: World,
    private readonly doubles: Doubles = {},
  ) {
    this.store = new StoreServer(world, doubles.statements);
    this.broker = doubles.broker?.(world, world.swarm.bus) ?? new Broker(world, world.swarm.bus);
    this.view = doubles.view?.(world) ?? new ViewServer(world);
    this.log = new SimLog(world);
    for (const gameId of GAMES)
      this.store.seedRow('games', gameId, { game_id: gameId, dedupe_floor: DEDUPE_FLOOR });
    const server = new SimNode(world, 'redis');
    server.start();
    const keys = new MemoryIdempotencyStore({ clock: server.clock, random: world.chance });
    this.idempotency = doubles.idempotency?.(keys) ?? keys;
    const { gateways, workers, clients } = world.swarm;
    for (let n = 1; n <= gateways; n += 1) this.startGateway(new SimNode(world, `gateway-${String(n)}`));
    for (let n = 1; n <= workers; n += 1) this.startWorker(new SimNode(world, `worker-${String(n)}`));
    for (let n = 1; n <= clients; n += 1) this.startClient(`c${String(n)}`);
    this.admin = new SimNode(world, 'admin');
    this.startAdmin(this.admin);
  }

  /** @throws nothing: a broken promise ends the run */
  look(): void {
    try {
      this.witness.look();
    } catch (error) {
      this.failed(error);
    }
  }

  private failed = (error: unknown): void => {
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
    const limiter = new MemoryRateLimiter({ clock: node.clock });
    const listener = createIngestListener({
      ...{ keyRing, definitions: definitionsOf(node), addressLimiter: limiter, limiter },
      bus: this.doubles.publisher?.(bus) ?? bus,
      loadGate: { overload: null, publishWaitMs: () => 0 },
      ...{ idempotency: this.idempotency, clock: node.clock, random: node.random },
      ...{ metrics: quietMetrics, logger: this.log, clientAddress: () => '10.0.0.1' },
      ...{ tracer: null, signedPathPrefix: '', corsOrigins: [] },
      limits: { ...DEFAULT_INGEST_LIMITS, recentEvents: world.swarm.recentEvents },
    });
    this.listeners.set(node, listener);
  }

  startWorker(node: SimNode): void {
    const { world, log, doubles } = this;
    if (!this.workers.includes(node)) this.workers.push(node);
    node.start();
    const { clock, random } = node;
    const db = this.databaseOf(node);
    const definitions = definitionsOf(node);
    const deadLetters = this.lettersOf(db);
    const bus = createSimBus({
      node,
      broker: this.broker,
      deadLetters,
      logger: log,
      batchMax: world.swarm.batchMax,
      ...(doubles.acknowledged === undefined ? {} : { acknowledged: doubles.acknowledged }),
    });
    const view = new BoardView({
      truth: this.truthOf(db),
      store: world.swarm.hasView ? createSimView(node, this.view) : null,
      ...{ definitions, clock, log, checkIntervalMs: VIEW_CHECK_MS },
    });
    const shared = { db, definitions, deadLetters, clock, random, metrics: quietMetrics, logger: log };
    const handlerOf = <State, Changes>(role: Role<State, Changes>): BatchHandler => {
      const handler = createDispatch({ ...shared, role: doubles.role?.(role, clock) ?? role });
      return doubles.handler?.(handler) ?? handler;
    };
    const handlers: Record<RoleName, BatchHandler> = {
      archive: handlerOf(archiveRole),
      progression: handlerOf(createProgressionRole({ definitions, signer: simSigner })),
      leaderboard: handlerOf(leaderboardRole(view)),
      fairness: handlerOf(fairnessRole),
    };
    for (const role of ROLES) bus.subscribe(role, handlers[role]).catch(this.failed);
    resubmit({ node, store: this.store, broker: this.broker, handlers, deadLetters, log }).catch(this.failed);
    const never = new AbortController().signal;
    view.run(never).catch(this.failed);
    const closing: SnapshotOptions = {
      ...{ store: postgresSnapshots(db), definitions, roles: ROLES, clock, log },
      lag: (role) => bus.lag(role),
    };
    runSnapshots(doubles.snapshots?.(closing) ?? closing, never).catch(this.failed);
  }

  /** Starts a node that is down. */
  revive(node: SimNode): void {
    if (node.isUp) return;
    if (this.gateways.includes(node)) this.startGateway(node);
    else if (node === this.admin) this.startAdmin(node);
    else this.startWorker(node);
  }

  /** Somebody hides players and shows them again; each call is tried until it succeeds, as docs/operations.md says. */
  startAdmin(node: SimNode): void {
    const { world, log } = this;
    const { chance } = world;
    node.start();
    const db = this.databaseOf(node);
    const players = postgresPlayerStates(db);
    const view = new BoardView({
      truth: this.truthOf(db),
      store: world.swarm.hasView ? createSimView(node, this.view) : null,
      ...{ definitions: definitionsOf(node), clock: node.clock, log },
    });
    const work = async (): Promise<void> => {
      while (!world.isHealed) {
        await node.clock.sleep(chance.between(0, 20_000) * world.swarm.pace);
        const playerId = `p-${String(chance.below(world.swarm.players))}`;
        const request = { gameId: 'demo', playerId, hidden: chance.is(0.5), by: 'admin', reason: null };
        while (!(await setHidden({ players, view }, request).then(() => true, isOutage)))
          await node.clock.sleep(1_000);
      }
    };
    work().catch(this.failed);
  }

  private databaseOf(node: SimNode): Database {
    const db = new SimDatabase(node, this.store, this.failed);
    return this.doubles.database?.(db) ?? db;
  }

  private lettersOf(db: Database): DeadLetters {
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
