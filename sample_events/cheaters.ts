import { DAY_MS, drop, gain, SEASON_STARTS_AT_MS, type Deed, type Player } from './play.js';
import type { Dice } from './dice.js';

export const CHEAT_KINDS = [
  'xp-injector',
  'speed-killer',
  'drop-macro',
  'burst',
  'quiet-burst',
  'slow-ramp',
  'from-the-start',
] as const;
export type CheatKind = (typeof CHEAT_KINDS)[number];

export interface Cheat {
  /** How many players of the season do it. */
  readonly players: number;
  /** The day of the season on which it begins, at the earliest. */
  readonly fromDay: number;
  readonly note: string;
  /** The shipped metrics that should find it; none where the method cannot. */
  readonly expectedMetrics: readonly string[];
  /** The deeds with the cheating in them, and those of them that cheat. */
  apply(honest: readonly Deed[], player: Player, dice: Dice): { deeds: Deed[]; cheated: ReadonlySet<Deed> };
}

const ONLINE_DELAY_MS = 150;
const XP_MAX = 1_000_000;

/** Replaces some deeds of a type from a day on. */
function replaced(
  honest: readonly Deed[],
  type: string,
  fromDay: number,
  change: (deed: Deed, index: number) => Deed['payload'] | null,
): { deeds: Deed[]; cheated: ReadonlySet<Deed> } {
  const cheated = new Set<Deed>();
  let index = 0;
  const deeds = honest.map((deed) => {
    if (deed.type !== type || deed.tsMs < SEASON_STARTS_AT_MS + fromDay * DAY_MS) return deed;
    const payload = change(deed, index);
    index += 1;
    if (payload === null) return deed;
    const forged = { ...deed, payload };
    cheated.add(forged);
    return forged;
  });
  return { deeds, cheated };
}

/** Adds runs of deeds, each beginning a second after one of the player's own. */
function withRuns(
  honest: readonly Deed[],
  { fromDay, runs, everyDeeds }: { fromDay: number; runs: number; everyDeeds: number },
  makeRun: (startsAtMs: number) => Deed[],
): { deeds: Deed[]; cheated: ReadonlySet<Deed> } {
  const starts = honest.filter(({ tsMs }) => tsMs >= SEASON_STARTS_AT_MS + fromDay * DAY_MS);
  const cheated = new Set<Deed>();
  for (let run = 0; run < runs; run += 1) {
    const start = starts[run * everyDeeds];
    if (start !== undefined) for (const deed of makeRun(start.tsMs + 1_000)) cheated.add(deed);
  }
  return { deeds: [...honest, ...cheated], cheated };
}

function run(
  count: number,
  leastMs: number,
  mostMs: number,
  startsAtMs: number,
  dice: Dice,
  make: () => [string, Deed['payload']],
): Deed[] {
  let tsMs = startsAtMs;
  return Array.from({ length: count }, () => {
    tsMs += dice.int(leastMs, mostMs);
    const [type, payload] = make();
    return { type, tsMs, payload, recordedAtMs: tsMs + ONLINE_DELAY_MS };
  });
}

export const CHEATS: Readonly<Record<CheatKind, Cheat>> = {
  'xp-injector': {
    players: 5,
    fromDay: 15,
    note: 'A modified client adds experience of 150,000 to 950,000 to a few gains.',
    expectedMetrics: ['xp-gain'],
    apply: (honest, _player, dice) =>
      replaced(honest, 'progression', 15, ({ payload }, i) =>
        i % 9 === 0 ? { ...payload, deltaXp: dice.int(150_000, 950_000) } : null,
      ),
  },
  'speed-killer': {
    players: 5,
    fromDay: 16,
    note: 'Bosses that took minutes die in 0.4 to 2.5 seconds, about every other time.',
    expectedMetrics: ['boss-speed'],
    apply: (honest, _player, dice) =>
      replaced(honest, 'boss_kill', 16, ({ payload }, i) =>
        i === 0 || dice.chance(0.5) ? { ...payload, durationMs: dice.int(400, 2_500) } : null,
      ),
  },
  'drop-macro': {
    players: 5,
    fromDay: 16,
    note: 'A macro claims 25 to 40 drops, one each 0.04 to 0.25 seconds, several times.',
    expectedMetrics: ['drop-interval'],
    apply: (honest, _player, dice) =>
      withRuns(honest, { fromDay: 16, runs: 4, everyDeeds: 20 }, (startsAtMs) =>
        run(dice.int(25, 40), 40, 250, startsAtMs, dice, () => ['drop_claimed', drop(dice)]),
      ),
  },
  burst: {
    players: 3,
    fromDay: 18,
    note: 'A bot plays a minute of everything at inhuman speed; each value is ordinary, the time between drops is not.',
    expectedMetrics: ['drop-interval'],
    apply: (honest, player, dice) =>
      withRuns(honest, { fromDay: 18, runs: 2, everyDeeds: 30 }, (startsAtMs) =>
        run(60, 20, 200, startsAtMs, dice, () =>
          dice.chance(0.5) ? ['progression', gain(player, dice)] : ['drop_claimed', drop(dice)],
        ),
      ),
  },
  'quiet-burst': {
    players: 2,
    fromDay: 18,
    note: 'A bot gains ordinary experience sixty times a minute. No shipped metric looks at the time between gains.',
    expectedMetrics: [],
    apply: (honest, player, dice) =>
      withRuns(honest, { fromDay: 18, runs: 2, everyDeeds: 30 }, (startsAtMs) =>
        run(60, 600, 1_400, startsAtMs, dice, () => ['progression', gain(player, dice)]),
      ),
  },
  'slow-ramp': {
    players: 3,
    fromDay: 8,
    note: 'Each gain is a few percent above the one before: the baseline follows and never sees a jump.',
    expectedMetrics: [],
    apply: (honest, _player, dice) =>
      replaced(honest, 'progression', 8, ({ payload }, i) => ({
        ...payload,
        deltaXp: Math.min(XP_MAX, Math.round(250 * 1.05 ** i * Math.exp(0.15 * dice.normal()))),
      })),
  },
  'from-the-start': {
    players: 2,
    fromDay: 0,
    note: 'Cheats from the first event on: there is no honest past to differ from.',
    expectedMetrics: [],
    apply: (honest, _player, dice) =>
      replaced(honest, 'progression', 0, ({ payload }) => ({
        ...payload,
        deltaXp: Math.round(40_000 * Math.exp(0.1 * dice.normal())),
      })),
  },
};
