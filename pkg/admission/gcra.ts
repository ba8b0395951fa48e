import type { RateDecision, RateRule } from './port.js';

/**
 * What one key has used: the theoretical arrival time (TAT) in milliseconds. A bucket is full when its TAT is not after now,
 * so an absent bucket and a full one are the same.
 */
export type TheoreticalArrivalMs = number;

export interface GcraStep {
  readonly allowed: boolean;
  /** The new state; unchanged when refused. */
  readonly tatMs: TheoreticalArrivalMs;
}

/** Milliseconds lost to doubles at today's epoch stay under this; a unit at 10,000 per second is a hundred times more. */
export const GCRA_TOLERANCE_MS = 0.001;

/** The generic cell rate algorithm (ITU-T I.371) on one number. gcra-1.lua is the same arithmetic in the same order. */
export function gcraStep(tatMs: TheoreticalArrivalMs, nowMs: number, cost: number, rule: RateRule): GcraStep {
  const intervalMs = 1000 / rule.rate;
  const start = Math.max(tatMs, nowMs);
  const room = (rule.burst - Math.min(cost, rule.burst)) * intervalMs;
  if (start - nowMs > room + GCRA_TOLERANCE_MS) return { allowed: false, tatMs };
  return { allowed: true, tatMs: start + cost * intervalMs };
}

/** What a caller is told, from the state after the step. `Retry-After` is never earlier than the moment the cost fits. */
export function gcraDecision(step: GcraStep, nowMs: number, cost: number, rule: RateRule): RateDecision {
  const intervalMs = 1000 / rule.rate;
  const usedMs = Math.max(0, step.tatMs - nowMs);
  const room = (rule.burst - Math.min(cost, rule.burst)) * intervalMs;
  return {
    allowed: step.allowed,
    remaining: Math.max(0, Math.floor(rule.burst - usedMs / intervalMs + GCRA_TOLERANCE_MS)),
    resetSeconds: usedMs / 1000,
    retryAfterSeconds: step.allowed ? 0 : Math.max(0, usedMs - room) / 1000,
  };
}
