import type { Bus, Lag } from '../../bus/port.js';
import type { RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import { oldestAside } from './postgres.js';

/** The lag of a role with what was set aside. The bus is asked first: what it gives up meanwhile is found aside. */
export async function unappliedOf(db: Sql, bus: Pick<Bus, 'lag'>, role: RoleName): Promise<Lag> {
  const lag = await bus.lag(role);
  const asideMs = await oldestAside(db, role);
  if (asideMs === null || (lag.waiting > 0 && lag.oldestPublishedAtMs === null)) return lag;
  return {
    waiting: lag.waiting + 1,
    oldestPublishedAtMs: Math.min(asideMs, lag.oldestPublishedAtMs ?? Infinity),
  };
}
