import type { SimNode } from './node.js';
import type { System } from './system.js';

const TICK_MS = 1_500;

/** Breaks whole parts now and then, and lets them come back: processes, servers, clocks, locks. */
export function startMonkey(system: System): void {
  const { world } = system;
  const tick = (): void => {
    if (world.isHealed) return;
    wreak(system);
    world.after(world.chance.between(0.2, 1.8) * TICK_MS, 'the monkey looks around', tick);
  };
  world.after(world.chance.between(0, TICK_MS), 'the monkey comes', tick);
}

function wreak(system: System): void {
  const { world, store, broker, view } = system;
  const { chance } = world;
  const nodes = [...system.gateways, ...system.workers];
  if (world.strikes('node.kill')) killOne(system, chance.pick(nodes));
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
  if (chance.is(0.3)) view.save();
  if (world.strikes('view.forgets-all')) view.forgetAll();
  if (world.strikes('view.forgets-tail')) view.forgetTail();
  if (world.strikes('view.loses-key')) view.loseKey();
}

function killOne(system: System, node: SimNode): void {
  if (!node.isUp) return;
  node.kill();
  system.world.after(system.world.chance.between(1, 6_000), `${node.name} is started again`, () =>
    system.revive(node),
  );
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
  for (const node of [...system.gateways, ...system.workers]) {
    node.skewMs = 0;
    system.revive(node);
  }
}
