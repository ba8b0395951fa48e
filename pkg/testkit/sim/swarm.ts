import { Chance } from './chance.js';

/** Everything that can go wrong. A seed switches each on or off: faults that are always on hide each other. */
export const FAULT_KINDS = [
  'node.kill',
  'node.clock-jump',
  'net.request-lost',
  'net.answer-lost',
  'db.lost-before',
  'db.lost-after',
  'db.commit-lost-before',
  'db.commit-lost-after',
  'db.serialization',
  'db.slow',
  'db.restart',
  'db.pause-in-statement',
  'db.disk-full',
  'bus.publish-refused',
  'bus.publish-unknown',
  'bus.publish-twice',
  'bus.publish-partial',
  'bus.outage',
  'bus.lock-lost',
  'bus.ack-lost',
  'bus.ack-unknown',
  'bus.delay',
  'view.slow',
  'view.fails-before',
  'view.fails-after',
  'view.applies-twice',
  'view.away',
  'view.forgets-all',
  'view.forgets-tail',
  'view.loses-key',
  'truth.damaged',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** Faults of worlds in which workers walk over the truth: others have nothing that would mend it. */
const OF_HEALING: ReadonlySet<FaultKind> = new Set(['truth.damaged']);

/** The kinds of engine whose rules a simulated bus keeps. */
export const BUS_KINDS = ['postgres', 'kafka', 'sqs', 'servicebus'] as const;
export type BusKind = (typeof BUS_KINDS)[number];

/** What one seed is made of. */
export interface Swarm {
  readonly bus: BusKind;
  /** Probability at each opportunity; 0: off in this seed. */
  readonly faults: Readonly<Record<FaultKind, number>>;
  readonly gateways: number;
  readonly workers: number;
  readonly players: number;
  readonly clients: number;
  readonly batchMax: number;
  readonly hasView: boolean;
  /** Workers write down what they have in hand, and find what kills them. */
  readonly hasGuard: boolean;
  /** An event is on its way that kills each process that handles it. */
  readonly hasKiller: boolean;
  /** For a while one role refuses events for a rule that is wrong; then the rule is mended. */
  readonly hasWrongRule: boolean;
  /** Somebody redrives, drops and corrects dead letters. */
  readonly hasOperator: boolean;
  /** Workers compare their roles with the archive: where each role's copy is sent by itself. */
  readonly hasReconciler: boolean;
  /** A recording is fed through the door. */
  readonly hasReplay: boolean;
  /** How often a worker compares players with the archive, and makes again what is wrong; null: never. */
  readonly healSeconds: number | null;
  /** That walk compares views too. */
  readonly healsViews: boolean;
  /** Somebody has the whole truth made again by hand. */
  readonly hasRebuild: boolean;
  /** Idempotency keys, and buckets of limits, that are remembered. */
  readonly keysMax: number;
  readonly bucketsMax: number;
  /** Identities that a gateway remembers. */
  readonly recentEvents: number;
  /** How often clients take one of a few ids that all share. */
  readonly sharedIds: number;
  readonly latencyMs: number;
  /** How slowly clients and faults come: the slower, the more time a run of equally many steps covers. */
  readonly pace: number;
}

/** Opportunities differ in number, so rates do. */
const RATES: Readonly<Partial<Record<FaultKind, number>>> = {
  'node.kill': 0.5,
  'node.clock-jump': 0.3,
  'db.restart': 0.15,
  'db.lost-before': 0.01,
  'db.lost-after': 0.01,
  'db.serialization': 0.015,
  'db.slow': 0.01,
  'db.disk-full': 0.05,
  'db.pause-in-statement': 0.1,
  'db.commit-lost-before': 0.05,
  'db.commit-lost-after': 0.06,
  'bus.outage': 0.15,
  'bus.lock-lost': 0.5,
  'bus.publish-partial': 0.1,
  'view.slow': 0.2,
  'view.away': 0.15,
  'view.forgets-all': 0.15,
  'view.forgets-tail': 0.2,
  'view.loses-key': 0.2,
  'truth.damaged': 0.25,
};

/** How much oftener a fault strikes that is looked for. */
const FOCUSED = 4;

/** @param focus kinds that are on in any case: to look for one thing */
export function swarmOf(seed: number, focus: readonly FaultKind[] = []): Swarm {
  const chance = new Chance(seed + 0x5eed * 2 ** 32);
  const faults = {} as Record<FaultKind, number>;
  const isCalm = chance.is(0.04);
  for (const kind of FAULT_KINDS.filter((one) => !OF_HEALING.has(one))) {
    const isOn = !isCalm && chance.is(0.5);
    const rate = (RATES[kind] ?? 0.06) * chance.between(0.4, 1.6);
    faults[kind] = focus.includes(kind) ? Math.min(0.5, rate * FOCUSED) : isOn ? rate : 0;
  }
  const bus = chance.pick(BUS_KINDS);
  const hasGuard = chance.is(0.4);
  const swarm = {
    bus,
    hasGuard,
    hasKiller: hasGuard && chance.is(0.2),
    hasWrongRule: chance.is(0.4),
    hasOperator: chance.is(0.5),
    hasReconciler: bus === 'sqs' && chance.is(0.7),
    hasReplay: chance.is(0.4),
    keysMax: chance.is(0.2) ? 4 : 10_000,
    bucketsMax: chance.is(0.2) ? 2 : 10_000,
    faults,
    gateways: 1 + chance.below(2),
    workers: 1 + chance.below(3),
    players: 1 + chance.below(6),
    clients: 2 + chance.below(4),
    batchMax: chance.pick([1, 3, 10, 50]),
    hasView: chance.is(0.85),
    recentEvents: chance.pick([2, 16, 200]),
    latencyMs: chance.pick([0.5, 2, 10]),
    pace: chance.pick([0.5, 2, 4]),
    sharedIds: chance.is(0.2) ? 0.5 : 0.1,
  };
  return { ...swarm, ...healingOf(seed, swarm, focus) };
}

type Healing = Pick<Swarm, 'faults' | 'healSeconds' | 'healsViews' | 'hasRebuild'>;

/** Drawn by dice of its own: what a seed is otherwise made of stays what it was. */
function healingOf(
  seed: number,
  { faults, hasView, pace }: Pick<Swarm, 'faults' | 'hasView' | 'pace'>,
  focus: readonly FaultKind[],
): Healing {
  const chance = new Chance(seed + 0x6ea1 * 2 ** 32);
  const isOn = chance.is(0.3);
  const isDamaged = chance.is(0.6);
  const rate = (RATES['truth.damaged'] ?? 0) * chance.between(0.4, 1.6);
  const isFocused = focus.includes('truth.damaged');
  const often = isFocused ? Math.min(1, rate * FOCUSED) : rate;
  return {
    faults: { ...faults, 'truth.damaged': isOn && (isDamaged || isFocused) ? often : 0 },
    healSeconds: isOn ? chance.pick([2, 5, 12]) * pace : null,
    healsViews: isOn && hasView && chance.is(0.5),
    hasRebuild: isOn && chance.is(0.3),
  };
}
