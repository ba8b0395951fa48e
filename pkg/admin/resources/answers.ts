import type { components } from '../../contract/admin-api.gen.js';
import type { Page, PageRequest } from '../../contract/keyset-page.js';
import { RequestProblem } from '../../http/request-problem.js';

/** What the admin API takes and answers, as api/admin.yaml has it. */
export type Schemas = components['schemas'];

/** RFC 3339, UTC, milliseconds; as all times of the API. */
export const instantOf = (ms: number): string => new Date(ms).toISOString();

export const instantOrNull = (ms: number | null): string | null => (ms === null ? null : instantOf(ms));

/** A column that is '' where there is nothing. */
export const textOrNull = (text: string): string | null => (text === '' ? null : text);

/** What to count up to where a number is only to be shown: beyond it, it says no more. */
export const COUNT_MAX = 1_000;

const PAGE_ROWS = 50;

/** `limit` and `cursor` as every list takes them. */
export const pageRequest = ({
  limit = PAGE_ROWS,
  cursor,
}: {
  readonly limit?: number;
  readonly cursor?: string;
}): PageRequest => ({
  limit,
  cursor: cursor ?? null,
});

/** A page as the API answers it. */
export const pageAnswer = <Item, Answer>(
  page: Page<Item>,
  answerOf: (item: Item) => Answer,
): { items: Answer[]; nextCursor: string | null } => ({
  items: page.items.map(answerOf),
  nextCursor: page.nextCursor,
});

/** @throws RequestProblem `not_found` */
export function found<T>(value: T | null | undefined): T {
  if (value === null || value === undefined) throw new RequestProblem('not_found');
  return value;
}
