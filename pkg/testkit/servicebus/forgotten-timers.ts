const LONG_MS = 5_000;

/**
 * The SDK forgets long timers when a connection is cut under it. They do nothing when they fire; with this they do not keep
 * the process of a test alive either.
 */
export function letGoOfForgottenTimers(): void {
  const start = globalThis.setTimeout;
  const unreferenced = (work: () => void, ms?: number, ...given: []): NodeJS.Timeout => {
    const timer = start(work, ms, ...given);
    return (ms ?? 0) < LONG_MS ? timer : timer.unref();
  };
  globalThis.setTimeout = Object.assign(unreferenced, { __promisify__: start.__promisify__ });
}
