import { ROLES } from '../../kernel/roles.js';
import { FAULT_KINDS } from './swarm.js';

/** Every place where code waits for something outside, so where a process can be killed. */
export const CRASH_POINTS: readonly string[] = [
  ...['bus publish', 'bus lag', 'db statement', 'db query', 'db commit', 'db rollback', 'life lock'],
  ...['heal query', 'heal statement', 'heal commit', 'heal rollback'],
  ...['view begin', 'view apply', 'view complete', 'view marks', 'view read'],
  ...ROLES.flatMap((role) => [`${role} receive`, `${role} ack`, `${role} idle`]),
  ...['replay read', 'replay submit', 'replay checkpoint'],
];

/** What went wrong how often, over all seeds: a fault that never strikes proves nothing. */
export class Coverage {
  readonly faults = new Map<string, number>();
  /** Where nodes were when they were killed. */
  readonly crashPoints = new Map<string, number>();
  /** What the runs brought about: verdicts, answers, letters. */
  readonly events = new Map<string, number>();

  fault(kind: string): void {
    count(this.faults, kind, 1);
  }

  crashedAt(point: string): void {
    count(this.crashPoints, point, 1);
  }

  saw(what: string, times = 1): void {
    count(this.events, what, times);
  }

  /** Adds what another process counted. */
  add(other: CoverageCounts): void {
    for (const [kind, times] of other.faults) count(this.faults, kind, times);
    for (const [point, times] of other.crashPoints) count(this.crashPoints, point, times);
    for (const [what, times] of other.events) count(this.events, what, times);
  }

  counts(): CoverageCounts {
    return { faults: [...this.faults], crashPoints: [...this.crashPoints], events: [...this.events] };
  }

  /** Fault kinds and crash points that came up less often than `least` times, those that never did among them. */
  below(least: number): string[] {
    const of = (title: string, names: readonly string[], counts: ReadonlyMap<string, number>): string[] =>
      [...new Set([...names, ...counts.keys()])]
        .filter((name) => (counts.get(name) ?? 0) < least)
        .map((name) => `${title} ${name} ${String(counts.get(name) ?? 0)}`);
    return [...of('fault', FAULT_KINDS, this.faults), ...of('killed at', CRASH_POINTS, this.crashPoints)];
  }

  lines(): string[] {
    const line = (title: string, counts: ReadonlyMap<string, number>): string =>
      `${title}: ${[...counts]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, times]) => `${name} ${String(times)}`)
        .join(', ')}`;
    return [
      line('faults', this.faults),
      line('killed while at', this.crashPoints),
      line('seen', this.events),
    ];
  }
}

type Counts = readonly (readonly [name: string, times: number])[];

/** As it travels between processes. */
export interface CoverageCounts {
  readonly faults: Counts;
  readonly crashPoints: Counts;
  readonly events: Counts;
}

const count = (counts: Map<string, number>, name: string, times: number): void =>
  void counts.set(name, (counts.get(name) ?? 0) + times);
