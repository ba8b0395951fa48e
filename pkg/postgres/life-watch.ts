import type { Logger } from '../runtime/port.js';
import { beat, beginLife, readLife } from './life.js';
import type { Beat, KnownLife, LifeNotes, Sql } from './port.js';

export interface LifeWatchParts {
  readonly db: Sql;
  /** null: nothing but this process remembers anything. */
  readonly notes: LifeNotes | null;
  readonly logger: Logger;
}

/**
 * Knows the life of the database. A database that is younger than what was seen of it was restored: it begins another life, whoever
 * finds it so. Every beat is committed before it is noted, so a database that was not set back is never younger than its note.
 */
export class LifeWatch {
  readonly #parts: LifeWatchParts;
  #last: Beat | null = null;
  /** Whether the notes were asked: before that nothing that they may know better is trusted. */
  #isSure = false;

  constructor(parts: LifeWatchParts) {
    this.#parts = parts;
  }

  /** null while it is not known whether the database was set back. */
  readonly known: KnownLife = () => (this.#isSure ? (this.#last?.life ?? null) : null);

  /**
   * Looks at the life, and moves it on.
   *
   * @returns whether it is another one than at the last look: this process remembers things of the one before
   * @throws OutageError
   */
  async look(): Promise<boolean> {
    const { db, notes, logger } = this.#parts;
    const before = this.#last;
    const life = await readLife(db);
    const noted = notes === null ? 0 : await notes.furthest(life).catch(() => null);
    const isAsked = notes === null || noted !== null;
    const seen = Math.max(noted ?? 0, before?.life === life ? before.beats : 0);
    let now = await beat(db);
    if (now.life === life && now.beats <= seen) {
      now = { life: await beginLife(db, life), beats: now.beats };
      logger.error(
        { seen, found: now.beats, life: now.life },
        'the database is younger than what was seen of it: it was restored, and begins a new life. What Redis remembers of the other one is not used; clients may send again what they keep',
      );
    }
    this.#last = now;
    this.#isSure ||= isAsked;
    await notes?.note(now).catch(() => undefined); // the next look notes it
    return before !== null && before.life !== now.life;
  }
}
