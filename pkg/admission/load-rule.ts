import type { Overload } from './port.js';

/** What tells that a gateway is past what it can do. null: not known, and what is not known sheds nothing. */
export interface LoadSignals {
  /** How late the turns of the event loop are: the median of a short while. */
  readonly loopDelayMs: number | null;
  /** Age of the oldest event that some role has not applied. */
  readonly unappliedMs: number | null;
  readonly freeDiskBytes: number | null;
}

/** null: this signal sheds nothing. */
export interface LoadLimits {
  readonly maxLoopDelayMs: number | null;
  readonly maxUnappliedMs: number | null;
  readonly minFreeDiskBytes: number | null;
}

/** What began at a limit ends at half of it, and for the disk at a quarter more: between the two nothing changes. */
const CALM = 0.5;
const ROOMY = 1.25;

/**
 * Which limits a gateway is past, given which it was past until now. Each ends by its own signal. A full disk stands first,
 * as clients are told of it by name; the event loop last, as it leaves some room (see the doorkeeper).
 */
export function shouldShed(
  signals: LoadSignals,
  limits: LoadLimits,
  until: readonly Overload[],
): readonly Overload[] {
  const rising = (reason: Overload, value: number | null, max: number | null): Overload[] => {
    if (value === null || max === null) return [];
    return value > max || (until.includes(reason) && value > max * CALM) ? [reason] : [];
  };
  const { freeDiskBytes } = signals;
  const { minFreeDiskBytes } = limits;
  const isFull =
    freeDiskBytes !== null &&
    minFreeDiskBytes !== null &&
    freeDiskBytes < minFreeDiskBytes * (until.includes('disk') ? ROOMY : 1);
  return [
    ...(isFull ? (['disk'] as const) : []),
    ...rising('unapplied', signals.unappliedMs, limits.maxUnappliedMs),
    ...rising('event_loop', signals.loopDelayMs, limits.maxLoopDelayMs),
  ];
}
