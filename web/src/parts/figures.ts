const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const precise = new Intl.NumberFormat(undefined, { maximumFractionDigits: 3 });

/** 25,343 in the viewer's way of writing. */
export const count = (value: number): string => whole.format(value);
/** 25.3K: where room is scarce. */
export const compact = (value: number): string => short.format(value);
/** Up to three digits behind the point. */
export const decimal = (value: number): string => precise.format(value);

const STEPS = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1],
] as const;

/** `2 d 3 h`, `4 min 10 s`, `0 s`: the two greatest units of a span. */
export function span(seconds: number): string {
  const total = Math.max(0, Math.round(seconds));
  const first = STEPS.findIndex(([, size]) => total >= size);
  if (first === -1) return '0 s';
  let rest = total;
  const words: string[] = [];
  for (const [unit, size] of STEPS.slice(first, first + 2)) {
    const amount = Math.floor(rest / size);
    rest -= amount * size;
    if (amount > 0) words.push(`${amount} ${unit}`);
  }
  return words.join(' ');
}
