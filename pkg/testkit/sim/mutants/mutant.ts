import type { FaultKind, Swarm } from '../swarm.js';
import type { Doubles } from '../doubles.js';
import type { Meaning } from '../store/meaning.js';
import { TAUGHT } from '../store/statements.js';

/** A deliberate bug, made of stand-ins. The simulation must find it. */
export interface Mutant {
  readonly name: string;
  /** Faults without which it seldom shows. */
  readonly focus?: readonly FaultKind[];
  /** Worlds without which it cannot show; others are passed over. */
  readonly needs?: (swarm: Swarm) => boolean;
  /** Anew for each run. */
  readonly doubles: () => Doubles;
}

/** What a statement means when nobody meddles. */
export function meaningNamed(name: string): Meaning {
  const taught = TAUGHT.find((one) => one.name === name);
  if (taught === undefined) throw new Error(`there is no statement "${name}"`);
  return taught.meaning;
}

/** A statement that reads instead of locking: what it answers may be old when it is used. */
export const withoutLocks =
  (name: string): Meaning =>
  (session, values) => {
    const reading = Object.create(session) as typeof session;
    reading.lock = function* (table, key) {
      return session.get(table, key);
    };
    return meaningNamed(name)(reading, values);
  };
