import { FairtallyError } from '../kernel/errors.js';

/** What listening failed with, in words that say which setting gives another port where somebody else has this one. */
export function listenError(error: Error, host: string, port: number, variable: string): Error {
  if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return error;
  return new FairtallyError(
    'port_taken',
    `port ${String(port)} of ${host} is in use by another process: stop that, or set ${variable} to another port`,
    false,
    { cause: error },
  );
}
