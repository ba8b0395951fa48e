import type { VisitAnswer } from './visit.js';

/** What a machine that has too much to do may answer. */
export const SHED_STATUSES: ReadonlySet<number> = new Set([503, 507]);

/** A right answer under overload, or from a full disk: a problem that says when to come again. */
export const isShed = ({ status, code, isToRetry }: VisitAnswer): boolean =>
  SHED_STATUSES.has(status) && code !== null && isToRetry;

/** A run that was shed more than this has not tested what it was to test. */
const SHED_SHARE_MAX = 0.05;

export const isTooMuchShed = (shed: number, requests: number): boolean => shed > requests * SHED_SHARE_MAX;
