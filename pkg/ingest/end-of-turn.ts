/** Resolves at the end of the turn of the event loop in which it is asked, for all who ask in that turn by one timer. */
export function createEndOfTurn(): () => Promise<void> {
  let end: Promise<void> | null = null;
  const next = (): Promise<void> =>
    new Promise((resolve) => {
      setImmediate(() => {
        end = null;
        resolve();
      });
    });
  return () => (end ??= next());
}
