import { ROLES } from '../../kernel/roles.js';
import { foreignMessage } from './foreign.js';
import type { SimNode } from './node.js';
import type { System } from './system.js';

const TICK_MS = 1_500;
/** How often another producer puts something on the bus that no gateway let in. */
const FOREIGN_RATE = 0.08;

/** Breaks whole parts now and then, and lets them come back: processes, servers, clocks, locks. */
export function startMonkey(system: System): void {
  const { world } = system;
  const tick = (): void => {
    system.look();
    if (world.isHealed) return;
    wreak(system);
    world.after(world.chance.between(0.2, 1.8) * TICK_MS * world.swarm.pace, 'the monkey looks around', tick);
  };
  world.after(world.chance.between(0, TICK_MS), 'the monkey comes', tick);
}

function wreak(system: System): void {
  const { world, store, broker, view } = system;
  const { chance } = world;
  const nodes = [...system.gateways, ...system.workers, system.admin];
  if (!system.replayer.isDone) nodes.push(system.replayer.node);
  if (world.strikes('node.kill')) killSoon(system, victimOf(system, nodes));
  if (world.strikes('node.clock-jump')) chance.pick(nodes).skewMs = chance.between(-90_000, 90_000);
  if (store.isUp && world.strikes('db.restart')) {
    store.crash();
    world.after(chance.between(10, 8_000), 'db is up again', () => (store.isUp = true));
  }
  if (broker.isUp && world.strikes('bus.outage')) {
    broker.isUp = false;
    world.after(chance.between(10, 8_000), 'bus is up again', () => (broker.isUp = true));
  }
  if (world.strikes('bus.lock-lost')) broker.loseALock();
  if (view.isUp && world.strikes('view.away')) {
    view.isUp = false;
    world.after(chance.between(10, 8_000), 'view is up again', () => (view.isUp = true));
  }
  if (chance.is(FOREIGN_RATE)) broker.store([foreignMessage(world)], ROLES);
  if (chance.is(0.3)) view.save();
  if (world.strikes('view.forgets-all')) view.forgetAll();
  if (world.strikes('view.forgets-tail')) view.forgetTail();
  if (world.strikes('view.loses-key')) view.loseKey();
  if (world.strikes('truth.damaged')) system.damage.strike();
}

/** Workers most of all; a replay, which is short, while there is one. */
function victimOf({ world: { chance }, workers, replayer }: System, nodes: readonly SimNode[]): SimNode {
  if (!replayer.isDone && chance.is(0.4)) return replayer.node;
  return chance.is(0.6) ? chance.pick(workers) : chance.pick(nodes);
}

/** Where a kill hurts most: between an effect and the knowledge of it. Rare ones stand here more than once. */
const VIEW_POINTS = ['view begin', 'view complete', 'view marks', 'view apply'];
const WORKER_POINTS: readonly string[] = [
  ...['db statement', 'db commit', 'db commit', 'db query', 'bus lag'],
  ...['db rollback', 'db rollback', 'db rollback', 'life lock', 'view marks'],
  ...[...VIEW_POINTS, ...VIEW_POINTS.slice(0, 3), ...VIEW_POINTS.slice(1, 3)],
  ...ROLES.flatMap((role) => [`${role} receive`, `${role} ack`, `${role} ack`]),
];
/** Where a player is made again; what is undone is what was only in motion, and seldom. */
const HEALING_POINTS: readonly string[] = [
  ...['heal statement', 'heal statement', 'heal commit', 'heal commit', 'heal commit'],
  ...Array.from({ length: 6 }, () => 'heal rollback'),
];
const HEALING_KILL_RATE = 0.65;
const ADMIN_POINTS: readonly string[] = [
  ...['db query', 'db statement', 'db commit', 'view apply'],
  ...Array.from({ length: 16 }, () => 'view read'),
];
const REPLAY_POINTS: readonly string[] = [
  ...['replay read', 'replay read', 'replay read', 'replay submit'],
  ...Array.from({ length: 4 }, () => 'replay checkpoint'),
];
/** What a process waits for as it starts. */
const STARTING_POINTS: readonly string[] = ['life lock', 'life lock', 'view marks'];
const DIES_AGAIN_RATE = 0.3;
/** Of the kills at a point so many come while its answer is surely not there yet. */
const EARLY_RATE = 0.5;

function pointsOf({ gateways, admin, replayer }: System, node: SimNode): readonly string[] {
  if (gateways.includes(node)) return ['bus publish'];
  if (node === admin) return ADMIN_POINTS;
  return node === replayer.node ? REPLAY_POINTS : WORKER_POINTS;
}

/** Steps of healing are rare: whoever begins one is waited for. */
export function lurkAtHealing(system: System, node: SimNode): void {
  const { chance, swarm, isHealed } = system.world;
  if (!isHealed && swarm.faults['node.kill'] > 0 && chance.is(HEALING_KILL_RATE))
    lieInWait(system, node, chance.pick(HEALING_POINTS), 1);
}

/** At once, or as soon as the process waits at a point of choice. */
function killSoon(system: System, node: SimNode): void {
  const { chance } = system.world;
  if (chance.is(0.15)) return killOne(system, node);
  lieInWait(system, node, chance.pick(pointsOf(system, node)));
}

function lieInWait(system: System, node: SimNode, point: string, earlyRate = EARLY_RATE): void {
  const { world } = system;
  const { chance } = world;
  const strike = (): void => {
    const delayMs = world.swarm.latencyMs * chance.between(0, chance.is(earlyRate) ? 0.3 : 2);
    world.after(delayMs, `${node.name} was waited for`, () => killOne(system, node));
  };
  node.ambush = { point, strike };
}

/** Some die again as they start. */
function killOne(system: System, node: SimNode): void {
  const { world, replayer } = system;
  const { chance } = world;
  if (!node.isUp || world.isHealed) return;
  system.kill(node);
  if (chance.is(DIES_AGAIN_RATE))
    lieInWait(system, node, node === replayer.node ? 'replay read' : chance.pick(STARTING_POINTS));
  world.after(chance.between(1, 6_000), `${node.name} is started again`, () => system.revive(node));
}

/** Nothing goes wrong any more, and everything that is down comes up. */
export function heal(system: System): void {
  const { world, store, broker, view } = system;
  world.isHealed = true;
  world.trace('* healed');
  store.isUp = true;
  broker.isUp = true;
  view.isUp = true;
  broker.changed();
  for (const node of [...system.gateways, ...system.workers, system.admin, system.replayer.node]) {
    node.skewMs = 0;
    system.revive(node);
  }
}
