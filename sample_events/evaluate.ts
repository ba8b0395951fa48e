import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import type { FairnessMetric, GameDefinition } from '../pkg/games/port.js';
import { parseDefinition } from '../pkg/games/definition-file.js';
import { CHEAT_KINDS } from './cheaters.js';
import { readSeason, recompute, type RecomputedFinding } from './recompute.js';
import { generateSeason, type Label, type SeasonEvent } from './season.js';

/** Measures fairness rules on the sample season: `npx tsx sample_events/evaluate.ts`. docs/fairness.md quotes its output. */
export interface Sample {
  readonly lines: readonly SeasonEvent[];
  readonly labels: readonly Label[];
  readonly definition: GameDefinition;
}

export function readSample(): Sample {
  const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
  return {
    lines: readSeason(read('season.ndjson')),
    labels: JSON.parse(read('labels.json')) as Label[],
    definition: parseDefinition(read('demo.yaml'), { gameId: 'demo', version: 1 }),
  };
}

/** The shipped metrics under the textbook rule: raw values, both sides, |z| > 3 after 10 samples. */
export const plainRule = (metric: FairnessMetric): FairnessMetric => ({
  ...metric,
  transform: 'none',
  side: 'both',
  minSamples: 10,
  maxZ: 3,
});

export const shippedRule = (metric: FairnessMetric): FairnessMetric => metric;

/** Every value is a finding: to see how far honest values reach. */
const everything = (metric: FairnessMetric): FairnessMetric => ({
  ...metric,
  maxZ: Number.NEGATIVE_INFINITY,
});

const findingsUnder = (
  { lines, definition }: Sample,
  rule: (metric: FairnessMetric) => FairnessMetric,
): readonly RecomputedFinding[] =>
  recompute(lines, { ...definition, fairness: definition.fairness.map(rule) }).findings;

export interface Evaluation {
  readonly honestPlayersFlagged: number;
  readonly honestFindings: number;
  /** Findings on a cheater's events that do not cheat. */
  readonly besideFindings: number;
  /** Findings on events that cheat. */
  readonly trueFindings: number;
  /** Cheaters with at least one finding on an event that cheats. */
  readonly found: readonly Label[];
}

export function evaluate(sample: Sample, rule: (metric: FairnessMetric) => FairnessMetric): Evaluation {
  const byPlayer = new Map(sample.labels.map((label) => [label.playerId, label]));
  const honest = new Set<string>();
  const found = new Set<Label>();
  const counts = { honestFindings: 0, besideFindings: 0, trueFindings: 0 };
  for (const { playerId, eventId } of findingsUnder(sample, rule)) {
    const label = byPlayer.get(playerId);
    if (label === undefined) {
      honest.add(playerId);
      counts.honestFindings += 1;
    } else if (label.eventIds.includes(eventId)) {
      found.add(label);
      counts.trueFindings += 1;
    } else {
      counts.besideFindings += 1;
    }
  }
  return {
    honestPlayersFlagged: honest.size,
    ...counts,
    found: sample.labels.filter((label) => found.has(label)),
  };
}

const cells = (...values: readonly (string | number)[]): string => `| ${values.join(' | ')} |`;
const heading = (...names: readonly string[]): string[] => [
  cells(...names),
  cells(...names.map(() => '---')),
];
const share = (part: number, whole: number): string =>
  whole === 0 ? 'none' : `${((100 * part) / whole).toFixed(1)} %`;

/** How far towards the suspicious side honest values and cheats lie, in deviations. */
function distribution(sample: Sample): string[] {
  const all = findingsUnder(sample, everything);
  const rows = sample.definition.fairness.map((metric) => {
    const own = all.filter((finding) => finding.metric === metric.name);
    const towards = ({ z }: RecomputedFinding): number => (metric.side === 'low' ? -z : z);
    const honest = own
      .filter(({ playerId }) => !sample.labels.some((label) => label.playerId === playerId))
      .map(towards)
      .sort((a, b) => a - b);
    const at = (quantile: number): string =>
      (honest[Math.floor(quantile * (honest.length - 1))] ?? Number.NaN).toFixed(2);
    const cheats = sample.labels
      .filter((label) => label.expectedMetrics.includes(metric.name))
      .map(({ playerId, eventIds }) =>
        own.filter((f) => f.playerId === playerId && eventIds.includes(f.eventId)),
      )
      .map((cheated) => (cheated.length === 0 ? 'not judged' : Math.max(...cheated.map(towards)).toFixed(2)));
    return cells(metric.name, honest.length, at(0.5), at(0.99), at(0.999), at(1), cheats.join(', '));
  });
  return [
    ...heading(
      'metric',
      'honest values judged',
      'median',
      '99 %',
      '99.9 %',
      'greatest',
      "each cheater's greatest",
    ),
    ...rows,
  ];
}

interface Rules {
  readonly plain: Evaluation;
  readonly shipped: Evaluation;
}

function comparison({ labels }: Sample, { plain, shipped }: Rules): string[] {
  const row = (name: string, result: Evaluation): string =>
    cells(
      name,
      result.honestPlayersFlagged,
      result.honestFindings,
      result.besideFindings,
      result.trueFindings,
      `${String(result.found.length)} of ${String(labels.length)}`,
      share(result.found.length, result.honestPlayersFlagged + result.found.length),
      share(result.found.length, labels.length),
    );
  return [
    ...heading(
      'rule',
      'honest players flagged',
      'findings on them',
      'findings beside the cheating',
      'findings on cheating',
      'cheaters found',
      'precision',
      'recall',
    ),
    row('plain', plain),
    row('shipped', shipped),
  ];
}

function perKind({ labels }: Sample, { plain, shipped }: Rules): string[] {
  const rows = CHEAT_KINDS.map((kind) => {
    const own = labels.filter((label) => label.kind === kind);
    const foundBy = ({ found }: Evaluation): string =>
      `${String(found.filter((label) => label.kind === kind).length)} of ${String(own.length)}`;
    return cells(kind, own[0]?.expectedMetrics.join(', ') || 'none', foundBy(plain), foundBy(shipped));
  });
  return [
    ...heading('kind', 'expected from', 'found by the plain rule', 'found by the shipped rule'),
    ...rows,
  ];
}

const tables = (...all: readonly (readonly string[])[]): string =>
  all.map((table) => `${table.join('\n')}\n`).join('\n');

/** The tables of the committed season. */
export function seasonReport(sample: Sample): string {
  const rules = { plain: evaluate(sample, plainRule), shipped: evaluate(sample, shippedRule) };
  return tables(distribution(sample), comparison(sample, rules), perKind(sample, rules));
}

/** Seasons that had no part in the choice of the numbers. */
const OTHER_SEEDS = [101, 102, 103, 104, 105, 106, 107, 108, 109, 110] as const;

/** The shipped rule on seasons of other seeds. */
export function otherSeasonsReport(sample: Sample): string {
  const rows = OTHER_SEEDS.map((seed) => {
    const { text, labels } = generateSeason(seed);
    const result = evaluate({ ...sample, lines: readSeason(text), labels }, shippedRule);
    const found = `${String(result.found.length)} of ${String(labels.length)}`;
    return cells(seed, result.honestPlayersFlagged, result.besideFindings, found);
  });
  return tables([
    ...heading('seed', 'honest players flagged', 'findings beside the cheating', 'cheaters found'),
    ...rows,
  ]);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const sample = readSample();
  process.stdout.write(`${seasonReport(sample)}\n${otherSeasonsReport(sample)}`);
}
