/**
 * The one base of errors that Fairtally throws. `code` is stable and may be shown to a user; `retriable` says whether
 * the same call can succeed later. HTTP statuses are known to the gateway's table alone.
 */
export class FairtallyError extends Error {
  override readonly name: string = 'FairtallyError';
  constructor(
    readonly code: string,
    message: string,
    readonly retriable: boolean = false,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/**
 * A dependency (database, Redis, broker) is away or not fit for use. Work pauses and waits; it never burns an attempt.
 * `storage_full` and `overloaded` say more of why.
 */
export class OutageError extends FairtallyError {
  override readonly name = 'OutageError';
  constructor(
    dependency: string,
    cause?: unknown,
    code: 'dependency_unavailable' | 'storage_full' | 'overloaded' = 'dependency_unavailable',
  ) {
    super(code, `${dependency} cannot be used at the moment`, true, { cause });
  }
}

/** This event can never be applied, whatever is tried: it goes to the dead letters at once. */
export class PoisonError extends FairtallyError {
  override readonly name = 'PoisonError';
  constructor(code: string, message: string) {
    super(code, message, false);
  }
}
