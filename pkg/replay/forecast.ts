import type { Tally } from './checkpoint.js';
import type { RecordedLine } from './recording.js';

/** What the way in would say of an event, before it asks what it has already. */
export type Verdict =
  | {
      readonly ok: true;
      readonly identity: string;
      readonly dedupeDay: string;
      readonly contentHash: string;
    }
  | { readonly ok: false; readonly code: string };

type Good = Extract<Verdict, { ok: true }>;

export interface ForecastParts {
  readonly judge: (text: string) => Verdict;
  /** The content hashes of those that are in the archive, by identity. */
  readonly known: (events: readonly Good[]) => Promise<ReadonlyMap<string, string>>;
}

export interface Forecast {
  /** Of lines that are events; `malformed` counts the others. */
  readonly tally: Tally;
  readonly malformed: number;
  readonly players: number;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  readonly byType: ReadonlyMap<string, number>;
}

const AT_ONCE = 500;

/** What would come of a recording. Sends nothing. Holds an identity per event, so the recording must be bounded. */
export async function forecast(
  recording: AsyncIterable<RecordedLine>,
  { judge, known }: ForecastParts,
): Promise<Forecast> {
  const tally = { accepted: 0, duplicates: 0, rejected: {} as Record<string, number> };
  const reject = (code: string): number => (tally.rejected[code] = (tally.rejected[code] ?? 0) + 1);
  const players = new Set<string>();
  const byType = new Map<string, number>();
  const seen = new Map<string, string>();
  let malformed = 0;
  let firstMs = Infinity;
  let lastMs = -Infinity;
  let good: Good[] = [];
  const settle = async (): Promise<void> => {
    const archived = await known(good);
    for (const { identity, contentHash } of good) {
      const before = seen.get(identity) ?? archived.get(identity);
      if (before === undefined) tally.accepted += 1;
      else if (before === contentHash) tally.duplicates += 1;
      else reject('event_id_conflict');
      seen.set(identity, before ?? contentHash);
    }
    good = [];
  };
  for await (const line of recording) {
    if (!line.ok) {
      malformed += 1;
      continue;
    }
    players.add(line.playerId);
    byType.set(line.type, (byType.get(line.type) ?? 0) + 1);
    if (line.tsMs !== null) {
      firstMs = Math.min(firstMs, line.tsMs);
      lastMs = Math.max(lastMs, line.tsMs);
    }
    const verdict = judge(line.body);
    if (verdict.ok) good.push(verdict);
    else reject(verdict.code);
    if (good.length >= AT_ONCE) await settle();
  }
  await settle();
  const isTimed = firstMs !== Infinity;
  return {
    tally,
    malformed,
    players: players.size,
    firstMs: isTimed ? firstMs : null,
    lastMs: isTimed ? lastMs : null,
    byType,
  };
}
