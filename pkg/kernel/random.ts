import { randomBytes, randomInt } from 'node:crypto';

/** Randomness as a parameter. */
export interface Random {
  /** Uniform in [0, 1). For jitter, never for secrets. */
  unit(): number;
  bytes(size: number): Buffer;
}

export const systemRandom: Random = {
  unit: () => randomInt(0, 2 ** 32) / 2 ** 32,
  bytes: (size) => randomBytes(size),
};
