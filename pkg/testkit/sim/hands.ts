import type { BatchHandler, Delivery } from '../../bus/port.js';
import type { RoleName } from '../../kernel/roles.js';
import { keyText } from './store/meaning.js';
import { readable } from './ground.js';
import type { SimNode } from './node.js';

/** The event that ends every process that handles it. */
const KILLER = 'foreign-killer-';
export const isKiller = (id: string): boolean => id.startsWith(KILLER);

/** What each process has in hand right now, and how many died with an event alone in hand: what the crash guard may go by. */
export class Hands {
  /** By role and identity. */
  readonly diedAlone = new Map<string, number>();
  private readonly inHand = new Map<
    SimNode,
    Set<{ readonly role: RoleName; readonly batch: readonly Delivery[] }>
  >();

  /** Stands where the role itself stands, under the guard. */
  around(node: SimNode, role: RoleName, handler: BatchHandler, crash: () => void): BatchHandler {
    return async (batch) => {
      const held = this.inHand.get(node) ?? new Set();
      this.inHand.set(node, held);
      const one = { role, batch };
      held.add(one);
      try {
        if (batch.some(({ body }) => body.includes(KILLER)))
          await node.ask<never>('killer', () => node.world.after(1, `${node.name} dies of an event`, crash));
        return await handler(batch);
      } finally {
        held.delete(one);
      }
    };
  }

  /** The process died. */
  died(node: SimNode): void {
    for (const { role, batch } of this.inHand.get(node) ?? []) {
      const [only] = batch;
      const event = batch.length === 1 && only !== undefined ? readable(only) : null;
      if (event === null) continue;
      const key = keyText(role, event.identity);
      this.diedAlone.set(key, (this.diedAlone.get(key) ?? 0) + 1);
    }
    this.inHand.delete(node);
  }
}
