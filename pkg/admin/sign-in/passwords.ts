import { hash, verify } from '@node-rs/argon2';
import pLimit from 'p-limit';
import type { Random } from '../../kernel/random.js';
import { RequestProblem } from '../../http/request-problem.js';

/** Argon2id as OWASP's Password Storage Cheat Sheet has it: 19 MiB, two passes, one thread. */
// The enum of the library is one that this compiler does not read: 2 is argon2id.
const COST = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 };
/** Each at work takes 19 MiB and a core; who waits longer than these is told to come again. */
const AT_ONCE = 2;
const WAITING_MAX = 32;
/** Twenty of 32 characters that are not mistaken for one another: 100 bits. */
const FIRST_PASSWORD_LENGTH = 20;
const CHARACTERS = 'abcdefghjkmnpqrstuvwxyz23456789A';

/** Hashes of passwords. */
export interface Passwords {
  hash(password: string): Promise<string>;
  /** `stored` null: nobody's password, after the time that a wrong one takes. */
  isRight(password: string, stored: string | null): Promise<boolean>;
}

/** @throws RequestProblem `overloaded` when too many wait */
export function createPasswords(): Passwords {
  const limit = pLimit(AT_ONCE);
  const run = <T>(work: () => Promise<T>): Promise<T> => {
    if (limit.pendingCount >= WAITING_MAX) return Promise.reject(new RequestProblem('overloaded'));
    return limit(work);
  };
  let nobodys: Promise<string> | null = null;
  return {
    hash: (password) => run(() => hash(password, COST)),
    isRight: (password, stored) =>
      run(async () => {
        const against = stored ?? (await (nobodys ??= hash('nobody', COST)));
        const isMatch = await verify(against, password);
        return isMatch && stored !== null;
      }),
  };
}

/** A password for somebody who is to change it. */
export const firstPassword = (random: Pick<Random, 'bytes'>): string =>
  Array.from(random.bytes(FIRST_PASSWORD_LENGTH), (byte) => CHARACTERS[byte % CHARACTERS.length] ?? '').join(
    '',
  );
