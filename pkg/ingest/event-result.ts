import type { ProblemCode } from '../contract/problem.js';

/** What became of one event; `index` is its place in the request. */
export type EventResult =
  | { readonly index: number; readonly status: 'accepted' | 'duplicate'; readonly eventId: string }
  | RejectedEvent;

export interface RejectedEvent {
  readonly index: number;
  readonly status: 'rejected';
  readonly eventId?: string;
  readonly code: ProblemCode;
  readonly pointer?: string;
  readonly detail?: string;
  readonly retryable: boolean;
}
