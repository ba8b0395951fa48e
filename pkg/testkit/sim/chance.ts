import type { Random } from '../../kernel/random.js';

/** Repeatable randomness (sfc32 by C. Doty-Humphrey): one seed, one sequence. */
export class Chance implements Random {
  private a: number;
  private b = 0x9e3779b9;
  private c = 0x243f6a88;
  private counter = 1;

  constructor(seed: number) {
    this.a = seed >>> 0;
    this.b ^= Math.floor(seed / 2 ** 32);
    for (let i = 0; i < 12; i += 1) this.next();
  }

  private next(): number {
    const sum = (((this.a + this.b) | 0) + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (this.c << 21) | (this.c >>> 11);
    this.c = (this.c + sum) | 0;
    return sum >>> 0;
  }

  unit(): number {
    return this.next() / 2 ** 32;
  }

  bytes(size: number): Buffer {
    const bytes = Buffer.alloc(size);
    for (let i = 0; i < size; i += 1) bytes[i] = this.next() & 0xff;
    return bytes;
  }

  /** Whether something of this probability happens. */
  is(probability: number): boolean {
    return this.unit() < probability;
  }

  /** A whole number, 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.unit() * below);
  }

  between(from: number, to: number): number {
    return from + this.unit() * (to - from);
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const mixed = [...items];
    for (let i = mixed.length - 1; i > 0; i -= 1) {
      const j = this.below(i + 1);
      [mixed[i], mixed[j]] = [mixed[j] as T, mixed[i] as T];
    }
    return mixed;
  }
}
