import type { Schema } from './schema.ts';

export type Problem = Partial<Schema<'Problem'>>;

/** A refusal of the API as RFC 9457 tells it, or a network that gave no answer (`status` 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(
      problem.detail ?? problem.title ?? (status === 0 ? 'No answer from the server.' : `Answer ${status}`),
    );
  }
}

/** Whether the API refused for this reason, by its stable code. */
export const isRefusedFor = (code: string, error: unknown): boolean =>
  error instanceof ApiError && error.problem.code === code;
