import type { FindingItem, FindingQuery } from '../fairness/queries.postgres.js';
import type { Output } from './output.js';
import { table } from './table.js';

export interface FindingsDeps {
  /** Newest first, at most the query's limit. */
  readonly findings: (query: FindingQuery) => Promise<{ readonly items: readonly FindingItem[] }>;
  readonly isJson: boolean;
  readonly out: Output;
}

const HEAD = ['time', 'player', 'metric', 'value', 'judged as', 'mean', 'deviation', 'z', 'sample'];

/** Shows the newest findings: as a table, or as one JSON array. Mean and deviation are of what a value is judged as, its logarithm say. */
export async function listFindings(
  query: FindingQuery,
  { findings, isJson, out }: FindingsDeps,
): Promise<number> {
  const { items } = await findings(query);
  if (isJson) out.line(JSON.stringify(items));
  else if (items.length === 0) out.line('No findings.');
  else out.line(table(HEAD, items.map(rowOf)));
  return 0;
}

const rowOf = (item: FindingItem): (string | number)[] => [
  new Date(item.tsMs).toISOString(),
  item.playerId,
  item.partition === '' ? item.metric : `${item.metric} ${item.partition}`,
  item.value,
  ...[item.judged, item.mean, item.deviation, item.z].map((number) => number.toFixed(2)),
  item.sampleNo,
];
