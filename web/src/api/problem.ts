/** RFC 9457 problem details, as every refusal of the admin API is told. */
export interface Problem {
  readonly type?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly code?: string;
  readonly requestId?: string;
  readonly retryable?: boolean;
}

/** A refusal of the API, or a network that gave no answer (`status` 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.detail ?? problem.title ?? (status === 0 ? 'No answer from the server.' : `Answer ${status}`));
  }
}

const isProblem = (value: unknown): value is Problem => typeof value === 'object' && value !== null;

/** What stands in for data when an answer carries an error instead. */
export const toApiError = (status: number, body: unknown): ApiError =>
  new ApiError(status, isProblem(body) ? body : {});
