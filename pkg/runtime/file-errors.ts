/** Whether an error of the operating system has this code, such as `ENOENT`. Told by shape: it may come from another realm. */
export const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  typeof error === 'object' &&
  error !== null &&
  'code' in error &&
  typeof error.code === 'string' &&
  codes.includes(error.code);
