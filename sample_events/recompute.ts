import type { JsonValue } from '../pkg/contract/event.js';
import type { Board, FairnessMetric, GameDefinition } from '../pkg/games/port.js';
import type { SeasonEvent } from './season.js';

/**
 * The season computed again in memory, in plain loops: what a running system is compared with. It shares the definition
 * with the roles (cycles, level curve) and nothing else, on purpose: a wrong fold must not be wrong here too.
 */
export interface Recomputed {
  /** One per identity, in the order of the lines; the first line of an identity wins. */
  readonly events: readonly CountedEvent[];
  /** Ranked best first, under `<board> <cycle key> <partition>`. */
  readonly boards: ReadonlyMap<string, readonly BoardEntry[]>;
  readonly progress: ReadonlyMap<string, { readonly totalXp: number; readonly level: number }>;
  /** Grant keys of each player (`level:5:coins`, `boss:hydra:trophy`, `drop:d-1`) and what they grant. */
  readonly grants: ReadonlyMap<
    string,
    ReadonlyMap<string, { readonly reward: string; readonly amount: number }>
  >;
  readonly findings: readonly RecomputedFinding[];
}

export interface CountedEvent {
  readonly id: string;
  readonly type: string;
  readonly playerId: string;
  readonly tsMs: number;
  readonly payload: { readonly [key: string]: JsonValue };
}

export interface BoardEntry {
  readonly rank: number;
  readonly subject: string;
  readonly score: number;
  readonly reachedAtMs: number;
}

export interface RecomputedFinding {
  readonly playerId: string;
  readonly eventId: string;
  readonly tsMs: number;
  readonly metric: string;
  readonly partition: string;
  /** As sent; seconds for the time between events. */
  readonly value: number;
  readonly judged: number;
  readonly mean: number;
  readonly deviation: number;
  readonly z: number;
  readonly sampleNo: number;
}

/** One stored sample: the order a running fairness role saw. */
export interface StoredOrder {
  readonly playerId: string;
  readonly metric: string;
  readonly partition: string;
  readonly sampleNo: number;
  readonly eventId: string;
  /** After the transform. */
  readonly judged: number;
}

/** Reads season.ndjson. */
export const readSeason = (text: string): SeasonEvent[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as SeasonEvent);

/**
 * @param lines every line as posted, duplicates and conflicts included
 * @param order the sample order to follow for findings; the order of the lines when absent
 * @throws Error when a stored sample does not agree with the events
 */
export function recompute(
  lines: readonly SeasonEvent[],
  definition: GameDefinition,
  order?: readonly StoredOrder[],
): Recomputed {
  const events = countedOnce(lines);
  const mapped = events.filter(({ type }) => definition.eventTypes.has(type));
  const progress = progressOf(mapped, definition);
  return {
    events,
    boards: boardsOf(mapped, definition),
    progress,
    grants: grantsOf(mapped, definition, progress),
    findings: findingsOf(
      order === undefined ? samplesByLine(mapped, definition) : samplesByOrder(mapped, definition, order),
    ),
  };
}

function countedOnce(lines: readonly SeasonEvent[]): CountedEvent[] {
  const seen = new Set<string>();
  const events: CountedEvent[] = [];
  for (const { id, type, playerId, ts, payload } of lines) {
    const tsMs = typeof ts === 'string' ? Date.parse(ts) : Math.round(ts >= 1e11 ? ts : ts * 1000);
    const isUuid7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id);
    const idTimeMs = isUuid7 ? parseInt(id.replace('-', '').slice(0, 12), 16) : tsMs;
    const identity = JSON.stringify([playerId, new Date(idTimeMs).toISOString().slice(0, 10), id]);
    if (seen.has(identity)) continue;
    seen.add(identity);
    events.push({ id, type, playerId, tsMs, payload });
  }
  return events;
}

interface Standing {
  score: number;
  reachedAtMs: number;
  reachedId: string;
}

function boardsOf(events: readonly CountedEvent[], definition: GameDefinition): Map<string, BoardEntry[]> {
  const standings = new Map<string, { board: Board; subjects: Map<string, Standing> }>();
  for (const event of events) {
    for (const board of definition.boards.values()) {
      if (board.eventType !== event.type || !isKept(board, event)) continue;
      const partition = board.partitionField === null ? '' : String(event.payload[board.partitionField]);
      const subject =
        board.subjectField === null ? event.playerId : String(event.payload[board.subjectField]);
      const value = board.valueField === null ? 1 : Number(event.payload[board.valueField]);
      for (const cycle of definition.cyclesOf(board, event.tsMs)) {
        const name = `${board.name} ${cycle.key} ${partition}`;
        const list = standings.get(name) ?? { board, subjects: new Map<string, Standing>() };
        standings.set(name, list);
        list.subjects.set(subject, standingAfter(list.subjects.get(subject), board, value, event));
      }
    }
  }
  return new Map([...standings].map(([name, { board, subjects }]) => [name, ranked(subjects, board)]));
}

const isKept = (board: Board, event: CountedEvent): boolean =>
  [...board.filter].every(([field, values]) => values.some((value) => value === event.payload[field]));

function standingAfter(
  old: Standing | undefined,
  board: Board,
  value: number,
  { tsMs, id }: CountedEvent,
): Standing {
  const fresh = { score: value, reachedAtMs: tsMs, reachedId: id };
  if (old === undefined) return fresh;
  if (board.aggregate === 'sum') {
    const reachedAtMs = value === 0 ? old.reachedAtMs : Math.max(old.reachedAtMs, tsMs);
    return { ...fresh, score: old.score + value, reachedAtMs };
  }
  if (board.aggregate === 'last') {
    const isLater =
      tsMs > old.reachedAtMs ||
      (tsMs === old.reachedAtMs && Buffer.compare(Buffer.from(id), Buffer.from(old.reachedId)) > 0);
    return isLater ? fresh : old;
  }
  const isBetter = board.aggregate === 'min' ? value < old.score : value > old.score;
  return isBetter || (value === old.score && tsMs < old.reachedAtMs) ? fresh : old;
}

function ranked(subjects: ReadonlyMap<string, Standing>, board: Board): BoardEntry[] {
  const sign = board.order === 'asc' ? 1 : -1;
  return [...subjects]
    .sort(
      ([a, x], [b, y]) =>
        sign * (x.score - y.score) ||
        x.reachedAtMs - y.reachedAtMs ||
        Buffer.compare(Buffer.from(a), Buffer.from(b)),
    )
    .map(([subject, { score, reachedAtMs }], i) => ({ rank: i + 1, subject, score, reachedAtMs }));
}

function progressOf(
  events: readonly CountedEvent[],
  { levels }: GameDefinition,
): Map<string, { totalXp: number; level: number }> {
  const progress = new Map<string, { totalXp: number; level: number }>();
  if (levels === null) return progress;
  for (const { type, playerId, payload } of events) {
    if (type !== levels.eventType) continue;
    const totalXp = (progress.get(playerId)?.totalXp ?? 0) + Number(payload[levels.xpField]);
    progress.set(playerId, { totalXp, level: levels.levelOf(totalXp) });
  }
  return progress;
}

function grantsOf(
  events: readonly CountedEvent[],
  { levels, rewards }: GameDefinition,
  progress: ReadonlyMap<string, { readonly level: number }>,
): Recomputed['grants'] {
  const grants = new Map<string, Map<string, { reward: string; amount: number }>>();
  const give = (playerId: string, grantKey: string, reward: string, amount: number): void => {
    const given = grants.get(playerId) ?? new Map<string, { reward: string; amount: number }>();
    grants.set(playerId, given);
    if (!given.has(grantKey)) given.set(grantKey, { reward, amount });
  };
  for (const [playerId, { level }] of progress) {
    for (let reached = 2; reached <= level; reached += 1) {
      for (const { reward, amount } of levels?.rewardsFor(reached) ?? []) {
        give(playerId, `level:${String(reached)}:${reward}`, reward, amount);
      }
    }
  }
  for (const { type, playerId, payload } of events) {
    for (const rule of rewards) {
      if (rule.eventType !== type) continue;
      const reward = 'fixed' in rule.reward ? rule.reward.fixed : String(payload[rule.reward.field]);
      const amount =
        'fixed' in rule.amount
          ? rule.amount.fixed
          : Number(payload[rule.amount.field] ?? rule.amount.otherwise);
      const cause = `${rule.causeName}:${String(payload[rule.causeField])}`;
      give(playerId, rule.keyedByReward ? `${cause}:${reward}` : cause, reward, amount);
    }
  }
  return grants;
}

interface OracleSample {
  readonly event: CountedEvent;
  readonly value: number;
  readonly judged: number;
}
interface Series {
  readonly metric: FairnessMetric;
  readonly partition: string;
  readonly samples: OracleSample[];
}

/** Logarithms of intervals are taken in milliseconds. */
function judgedOf(metric: FairnessMetric, value: number): number {
  if (metric.transform === 'none') return value;
  const x = 'field' in metric.value ? value : value * 1000;
  return x < 0 ? -Math.log1p(-x) : Math.log1p(x);
}

const seriesName = (playerId: string, metric: string, partition: string): string =>
  JSON.stringify([playerId, metric, partition]);

function samplesByLine(events: readonly CountedEvent[], definition: GameDefinition): Map<string, Series> {
  const all = new Map<string, Series>();
  const lastTsMs = new Map<string, number>();
  for (const event of events) {
    for (const metric of definition.fairness.filter(({ eventType }) => eventType === event.type)) {
      const partition = metric.partitionField === null ? '' : event.payload[metric.partitionField];
      if (partition === undefined) continue;
      const name = seriesName(event.playerId, metric.name, String(partition));
      let value: number;
      if ('field' in metric.value) {
        value = Number(event.payload[metric.value.field]);
      } else {
        const last = lastTsMs.get(name);
        if (last === undefined || event.tsMs > last) lastTsMs.set(name, event.tsMs);
        if (last === undefined || event.tsMs <= last) continue;
        value = (event.tsMs - last) / 1000;
      }
      if (Number.isNaN(value)) continue;
      const series = all.get(name) ?? { metric, partition: String(partition), samples: [] };
      all.set(name, series);
      series.samples.push({ event, value, judged: judgedOf(metric, value) });
    }
  }
  return all;
}

/** The series in a stored order. Each stored value must be the one that its event makes. */
function samplesByOrder(
  events: readonly CountedEvent[],
  definition: GameDefinition,
  order: readonly StoredOrder[],
): Map<string, Series> {
  const byId = new Map(events.map((event) => [JSON.stringify([event.playerId, event.id]), event]));
  const all = new Map<string, Series>();
  for (const stored of order.toSorted((a, b) => a.sampleNo - b.sampleNo)) {
    const metric = definition.fairness.find(({ name }) => name === stored.metric);
    const event = byId.get(JSON.stringify([stored.playerId, stored.eventId]));
    if (metric === undefined || event === undefined) {
      throw new Error(`a stored sample has no cause: ${JSON.stringify(stored)}`);
    }
    const name = seriesName(stored.playerId, stored.metric, stored.partition);
    const series = all.get(name) ?? { metric, partition: stored.partition, samples: [] };
    all.set(name, series);
    const previous = series.samples.at(-1)?.event;
    let value: number | undefined;
    if ('field' in metric.value) value = Number(event.payload[metric.value.field]);
    else if (previous !== undefined) value = (event.tsMs - previous.tsMs) / 1000;
    else value = firstInterval(events, event, metric, stored.judged);
    const isNext = stored.sampleNo === series.samples.length + 1;
    if (!isNext || value === undefined || stored.judged !== judgedOf(metric, value)) {
      throw new Error(`a stored sample is not what its event makes: ${JSON.stringify(stored)}`);
    }
    series.samples.push({ event, value, judged: stored.judged });
  }
  return all;
}

/** The first interval begins at an event that made no sample: any earlier one of the player that fits. */
function firstInterval(
  events: readonly CountedEvent[],
  event: CountedEvent,
  metric: FairnessMetric,
  judged: number,
): number | undefined {
  return events
    .filter(
      ({ playerId, type, tsMs }) => playerId === event.playerId && type === event.type && tsMs < event.tsMs,
    )
    .map(({ tsMs }) => (event.tsMs - tsMs) / 1000)
    .find((seconds) => judgedOf(metric, seconds) === judged);
}

/** Two passes over the samples before each value: slow, and nothing like a running mean. */
function findingsOf(all: ReadonlyMap<string, Series>): RecomputedFinding[] {
  const findings: RecomputedFinding[] = [];
  for (const { metric, partition, samples } of all.values()) {
    for (const [count, { event, value, judged }] of samples.entries()) {
      if (count < Math.max(metric.minSamples, 2)) continue;
      let sum = 0;
      for (let i = 0; i < count; i += 1) sum += samples[i]?.judged ?? Number.NaN;
      const mean = sum / count;
      let squares = 0;
      for (let i = 0; i < count; i += 1) squares += ((samples[i]?.judged ?? Number.NaN) - mean) ** 2;
      const deviation = Math.sqrt(squares / (count - 1));
      const z = (judged - mean) / deviation;
      const isSuspicious =
        (metric.side !== 'low' && z > metric.maxZ) || (metric.side !== 'high' && z < -metric.maxZ);
      if (deviation === 0 || !isSuspicious) continue;
      const { playerId, id: eventId, tsMs } = event;
      const evidence = { value, judged, mean, deviation, z, sampleNo: count + 1 };
      findings.push({ playerId, eventId, tsMs, metric: metric.name, partition, ...evidence });
    }
  }
  return findings;
}
