const PAUSE_MS = { first: 5, last: 25 };

/**
 * Waits until a condition holds, looking every few milliseconds, later on less often: looking costs others the processor.
 * Time decides nothing but when to give up.
 */
export async function eventually(
  what: string,
  holds: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const giveUpAtMs = performance.now() + timeoutMs;
  for (let pauseMs = PAUSE_MS.first; !(await holds()); pauseMs = Math.min(PAUSE_MS.last, pauseMs + 1)) {
    if (performance.now() > giveUpAtMs) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}
