/** Levels by total XP. `levelOf` and `xpFor` are exact inverses: `levelOf(xpFor(L)) = L`, `levelOf(xpFor(L) - 1) = L - 1`. */
export interface LevelCurve {
  readonly maxLevel: number;
  levelOf(totalXp: number): number;
  xpFor(level: number): number;
}

/**
 * floor(sqrt(totalXp / divisor)) + 1, at most maxLevel; exact for every total up to 2^53 - 1. `divisor` is a positive
 * whole number and (maxLevel - 1)^2 * divisor is a safe integer.
 */
export function sqrtCurve(divisor: number, maxLevel: number): LevelCurve {
  const levelOf = (totalXp: number): number => {
    const whole = (totalXp - (totalXp % divisor)) / divisor;
    return Math.min(wholeRoot(whole) + 1, maxLevel);
  };
  return { maxLevel, levelOf, xpFor: (level) => (clamp(level, maxLevel) - 1) ** 2 * divisor };
}

/** Level L begins at thresholds[L - 1]. `thresholds` begins with 0 and rises strictly. */
export function tableCurve(thresholds: readonly number[]): LevelCurve {
  const levelOf = (totalXp: number): number => {
    let reached = 0;
    let beyond = thresholds.length;
    while (beyond - reached > 1) {
      const middle = (reached + beyond) >>> 1;
      if ((thresholds[middle] ?? Infinity) <= totalXp) reached = middle;
      else beyond = middle;
    }
    return reached + 1;
  };
  const maxLevel = thresholds.length;
  return { maxLevel, levelOf, xpFor: (level) => thresholds[clamp(level, maxLevel) - 1] ?? 0 };
}

const clamp = (level: number, maxLevel: number): number => Math.min(Math.max(level, 1), maxLevel);

/** The greatest r with r * r <= n. Math.sqrt rounds, so its neighbour may be the right one. */
function wholeRoot(n: number): number {
  let root = Math.floor(Math.sqrt(n));
  while (root * root > n) root -= 1;
  while ((root + 1) * (root + 1) <= n) root += 1;
  return root;
}
