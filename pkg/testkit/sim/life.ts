import type { Life } from '../../worker/crash-guard/postgres-life.js';
import type { SimNode } from './node.js';
import { lifeKey } from './store/guard-statements.js';
import type { StoreServer } from './store/server.js';

const AGAIN_AFTER_MS = 500;
const BEAT_EVERY_MS = 5_000;
/** How late the server may learn that a process was killed: it keeps the lock until then. */
const NOTICED_MAX_MS = 2_000;

/**
 * What openLife (pkg/worker/crash-guard/postgres-life.ts) does with a connection of its own, done to the simulated server:
 * the row and the lock of an incarnation, taken again after the server was away, and given back when the process is dead.
 */
export async function openSimLife(
  node: SimNode,
  store: StoreServer,
): Promise<Pick<Life, 'incarnation' | 'isHeld'>> {
  const { world } = node;
  const incarnation = node.random.bytes(8).readBigInt64BE().toString();
  const key = lifeKey(incarnation);
  const connection = {};
  const take = (): Promise<boolean> =>
    node.ask<boolean>('life lock', ({ resolve }) => {
      world.after(world.swarm.latencyMs, `${node.name} life`, () => {
        if (!store.isUp || !store.advisory.take(key, connection)) return resolve(false);
        forgiveCrashes(store, incarnation);
        if (!store.table('worker_lives').slots.has(incarnation))
          store.seedRow('worker_lives', incarnation, { incarnation });
        resolve(true);
      });
    });
  node.onEnd(() => {
    const late = world.chance.between(0, NOTICED_MAX_MS);
    world.after(late, 'db notices a dead process', () => store.advisory.release(connection));
  });
  while (!(await take())) await node.clock.sleep(AGAIN_AFTER_MS);
  void (async () => {
    for (;;) {
      await node.clock.sleep(BEAT_EVERY_MS);
      while (!store.advisory.isTakenBy(key, connection) && !(await take()))
        await node.clock.sleep(AGAIN_AFTER_MS);
    }
  })();
  return {
    incarnation,
    get isHeld() {
      return store.advisory.isTakenBy(key, connection);
    },
  };
}

/** The others may have taken a process for dead that had only lost its connection. */
function forgiveCrashes(store: StoreServer, incarnation: string): void {
  for (const { key, versions } of store.table('crash_suspects').slots.values()) {
    const row = versions.at(-1)?.row;
    const crashes = (row?.['crashes'] ?? []) as readonly string[];
    if (row === undefined || row === null || !crashes.includes(incarnation)) continue;
    store.seedRow('crash_suspects', key, { ...row, crashes: crashes.filter((one) => one !== incarnation) });
  }
}
