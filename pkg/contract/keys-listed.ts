/** So many signing keys are listed at most. Each replay makes one that soon ends: what has not ended stands before all that has. */
export const KEYS_LISTED_MAX = 1000;
