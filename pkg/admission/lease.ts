/** How long a claim is held: longer than the publish timeout, so a claim never ends under a running request. */
export const LEASE_MS = 30_000;

/** How long an answer is replayed. */
export const ANSWER_TTL_MS = 24 * 60 * 60 * 1000;
