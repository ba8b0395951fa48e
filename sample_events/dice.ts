/** Seeded randomness for the sample season: the same seed gives the same numbers on every machine. */
export interface Dice {
  /** Uniform in [0, 1). */
  unit(): number;
  /** Whole number, both ends included. */
  int(least: number, greatest: number): number;
  between(least: number, greatest: number): number;
  /** Nearly standard normal, never beyond 6 (the sum of twelve uniforms): honest values have no endless tail. */
  normal(): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** An item of [item, weight] pairs. */
  weighted<T>(list: readonly (readonly [T, number])[]): T;
  hex(digits: number): string;
}

/** xoshiro128** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", 2018), seeded by SplitMix32. */
export function createDice(...seeds: readonly number[]): Dice {
  let state = 0x9e3779b9;
  for (const seed of seeds) state = mix((state ^ seed) + 0x9e3779b9);
  const split = (): number => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state);
  };
  let [a, b, c, d] = [split(), split(), split(), split()];
  const next = (): number => {
    const result = Math.imul(rotated(Math.imul(b, 5), 7), 9);
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotated(d, 11);
    return result >>> 0;
  };
  const unit = (): number => next() / 2 ** 32;
  const dice: Dice = {
    unit,
    int: (least, greatest) => least + Math.floor(unit() * (greatest - least + 1)),
    between: (least, greatest) => least + unit() * (greatest - least),
    normal: () => {
      let sum = -6;
      for (let i = 0; i < 12; i += 1) sum += unit();
      return sum;
    },
    chance: (probability) => unit() < probability,
    pick: (list) => itemAt(list, Math.floor(unit() * list.length)),
    weighted: (list) => {
      let left = unit() * list.reduce((total, [, weight]) => total + weight, 0);
      const found = list.find(([, weight]) => (left -= weight) < 0);
      return (found ?? itemAt(list, list.length - 1))[0];
    },
    hex: (digits) => Array.from({ length: digits }, () => Math.floor(unit() * 16).toString(16)).join(''),
  };
  return dice;
}

const rotated = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

function mix(x: number): number {
  let z = x | 0;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return z ^ (z >>> 16);
}

function itemAt<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}
