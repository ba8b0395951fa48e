import type { RoleName } from '../../kernel/roles.js';

/**
 * The durable memory of the crash guard. Every method rejects with OutageError when it cannot be reached. Keys are those
 * of crashKey.
 */
export interface Marks {
  /**
   * Writes down what this process has in hand for a role, in place of what it had before, and looks for what dead processes
   * of the role had.
   *
   * @returns of the keys that are under suspicion: how many processes died while the event ran alone
   */
  take(role: RoleName, keys: readonly string[], isAlone: boolean): Promise<ReadonlyMap<string, number>>;
  /** Nothing of the role is in hand any more; `cleared` is suspected no longer. */
  putDown(role: RoleName, cleared: string | null): Promise<void>;
  /** Changes whenever any process takes a batch of the role; null before the first. */
  lastTaken(role: RoleName): Promise<string | null>;
  /** The process is going to end as it should: whatever it has in hand is not what ends it. */
  close(): Promise<void>;
}
