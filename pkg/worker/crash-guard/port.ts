import type { RoleName } from '../../kernel/roles.js';

/**
 * The durable memory of the crash guard. Every method rejects with OutageError when it cannot be reached. Keys are those
 * of crashKey.
 */
export interface Marks {
  /**
   * Writes down what this process has in hand for a role, and looks for what dead processes of the role had.
   *
   * @param slot which of the role's batches at once: it takes the place of what the slot had before
   * @returns of the keys that are under suspicion (SUSPECT_AFTER): how many processes died while the event ran alone
   */
  take(
    role: RoleName,
    slot: number,
    keys: readonly string[],
    isAlone: boolean,
  ): Promise<ReadonlyMap<string, number>>;
  /** Nothing of the slot is in hand any more; `cleared` is suspected no longer. */
  putDown(role: RoleName, slot: number, cleared: string | null): Promise<void>;
  /** Changes whenever any process takes a batch of the role; null before the first. */
  lastTaken(role: RoleName): Promise<string | null>;
  /**
   * The process is going to end, and nothing more is written down. `told`: it ends as it should, so whatever it has in hand
   * is not what ends it. `failed`: what it has in hand now may be why.
   */
  close(why: 'told' | 'failed'): Promise<void>;
}
