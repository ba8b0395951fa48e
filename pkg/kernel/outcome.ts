import { OutageError } from './errors.js';

/**
 * What a handler says of one delivery.
 *
 * - `ok`: its effect is committed (or was before: a duplicate); it may be acknowledged.
 * - `retry`: try it again later; counts one attempt, unless its error is an OutageError: then the event is not to blame.
 * - `dead`: it can never succeed; it becomes a dead letter with this reason before it is acknowledged.
 */
export type Outcome =
  | { readonly kind: 'ok' }
  | { readonly kind: 'retry'; readonly error: unknown }
  | { readonly kind: 'dead'; readonly reason: string; readonly detail: string };

export const ok: Outcome = { kind: 'ok' };
export const retry = (error: unknown): Outcome => ({ kind: 'retry', error });
export const dead = (reason: string, detail: string): Outcome => ({ kind: 'dead', reason, detail });

/** Whether a delivery waits for a dependency that is away for it, while others may go on. */
export const isHeldUp = (outcome: Outcome | undefined): boolean =>
  outcome?.kind === 'retry' && outcome.error instanceof OutageError;
