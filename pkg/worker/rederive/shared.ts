import type { Clock } from '../../kernel/clock.js';
import { FairtallyError, OutageError, PoisonError } from '../../kernel/errors.js';
import type { Sql } from '../../postgres/port.js';
import { retryTransient } from '../inbox/postgres.js';
import type { RoleEvent, SharedRederivation } from '../port.js';
import { settledHorizon } from './followed.postgres.js';
import { Lately } from './lately.js';
import { followRole, readOutstanding } from './outstanding.js';
import type { Healed, Outstanding, RederiveDeps, Verdict } from './port.js';
import { stillStrange } from './postgres.js';
import { undoneUnlessRepaired } from './rederive.js';
import { countArchive, type Walked } from './walk.js';

export interface SharedParts<Key extends { readonly subject: string }> extends Omit<RederiveDeps, 'recount'> {
  readonly gameId: string;
  readonly rederivation: SharedRederivation<Key>;
  /** What the rows are, where a verdict is on all of them. */
  readonly label: string;
  readonly onProgress?: (walked: Walked) => void;
}

export interface SharedHealed {
  /** What became of each row that looked wrong; or of all of them, when they could not be judged. */
  readonly healed: readonly Healed[];
  /** What another look at all rows still found. */
  readonly left: readonly Healed[];
  /** There are more rows that look wrong. */
  readonly isCut: boolean;
}

const DIFFERING_MAX = 10_000;
/** An inbox that was never followed is followed first. */
const FOLLOW_BUDGET_MS = 60_000;
const ROUNDS_MAX = 10;
const NEXT_ROUND_AFTER_MS = 1_000;
/** How long a row stays locked for the archive to store what it is behind with. */
const ARCHIVE_WAIT_MS = 1_500;
const ARCHIVE_LOOK_MS = 50;
/** What was settled since is read again under each lock: it is counted in when it is older than this. */
const ADVANCE_AFTER_MS = 10_000;
const STRETCH_MS = 10_000;
const SNAPSHOT = { isolation: 'repeatable read', readOnly: true } as const;

/**
 * Makes rows again that events of many players make together, where they are wrong, while events flow.
 *
 * What the role settled up to an instant (`settled_horizon`) is counted once from the archive joined with its inbox; what it settled
 * since is few. With that the rows are compared, and each that differs is judged under its lock: what the role has committed of it is
 * read then, what it commits later waits for the row and adds to it. As with players, the archive is waited for, and where it
 * does not come the row is left as it is.
 *
 * @param isDryRun the same, rolled back
 * @throws OutageError
 */
export async function rederiveShared<Key extends { readonly subject: string }>(
  parts: SharedParts<Key>,
  isDryRun: boolean,
): Promise<SharedHealed> {
  const run = new SharedRun(parts, isDryRun);
  try {
    return await run.heal();
  } catch (error) {
    if (error instanceof OutageError || !(error instanceof FairtallyError)) throw error;
    return run.all({ kind: error instanceof PoisonError ? 'blocked' : 'unread', why: error.message });
  }
}

class SharedRun<Key extends { readonly subject: string }> {
  private readonly lately: Lately;
  /** What was settled up to then is counted. */
  private throughMs = 0;
  private advancedAtMs = 0;

  constructor(
    private readonly parts: SharedParts<Key>,
    private readonly isDryRun: boolean,
  ) {
    this.lately = new Lately(parts);
  }

  all(verdict: Verdict): SharedHealed {
    const { gameId, label, rederivation } = this.parts;
    return {
      healed: [{ gameId, playerId: label, role: rederivation.role, verdict }],
      left: [],
      isCut: false,
    };
  }

  async heal(): Promise<SharedHealed> {
    const why = (await this.countPast()) ?? (await this.advance());
    if (why !== null) return this.all(why);
    const keys = await this.differing();
    const healed = await this.healRows(keys);
    const isAnyChanged = healed.some(({ verdict }) => verdict.kind === 'repaired');
    const left = isAnyChanged ? await this.lookAgain() : [];
    return { healed, left, isCut: keys.length === DIFFERING_MAX };
  }

  /** Counts all that was settled up to a horizon; or tells why that cannot be done. */
  private async countPast(): Promise<Verdict | null> {
    const { db, clock, gameId, rederivation, onProgress } = this.parts;
    const followed = await followRole({ db, clock }, rederivation.role, FOLLOW_BUDGET_MS);
    const outstanding = await readOutstanding({ db }, rederivation.role, gameId, followed);
    if (outstanding === null) return { kind: 'moving' };
    const owed = await this.awaitStrangers(outstanding);
    if (owed !== null) return owed;
    this.throughMs = outstanding.unseenSinceMs;
    const why = await db.transaction(
      (sql) =>
        countArchive(sql, this.throughMs, this.lately, { ...this.parts, ...(onProgress && { onProgress }) }),
      SNAPSHOT,
    );
    return why === null ? null : { kind: 'blocked', why };
  }

  /** No row is locked meanwhile, so there is time. */
  private async awaitStrangers({ strangers }: Outstanding): Promise<Verdict | null> {
    const { db, clock, gameId } = this.parts;
    for (let round = 0; ; round += 1) {
      const owners = await stillStrange(db, strangers, { gameId, playerId: '' });
      if (owners.length === 0) return null;
      const lost = owners.find(({ letterOf, isOtherContent }) => letterOf !== null || isOtherContent);
      if (lost !== undefined)
        return {
          kind: 'blocked',
          why: `an event (${lost.identity}) took effect that the archive does not have`,
        };
      if (round >= ROUNDS_MAX) return { kind: 'moving' };
      await clock.sleep(NEXT_ROUND_AFTER_MS);
    }
  }

  /** Counts in what was settled since, up to the horizon of now. */
  private async advance(): Promise<Verdict | null> {
    const { db, clock, rederivation } = this.parts;
    const toMs = await settledHorizon(db);
    let round = 0;
    while (this.throughMs < toMs) {
      const stretch = { fromMs: this.throughMs, toMs: Math.min(this.throughMs + STRETCH_MS, toMs) };
      const entered = await this.lately.entered(db, stretch);
      if (entered === null) return { kind: 'moving' };
      const { events, lacking } = await this.lately.eventsOf(db, entered, stretch);
      if (lacking === 0) {
        rederivation.count(events);
        this.lately.forget(events);
        this.throughMs = stretch.toMs;
        continue;
      }
      if (round >= ROUNDS_MAX) return { kind: 'moving' };
      round += 1;
      await clock.sleep(NEXT_ROUND_AFTER_MS);
    }
    this.advancedAtMs = clock.monotonicMs();
    return null;
  }

  /** Rows that differ at an instant: of the events that the archive lacks then some may only be on their way. */
  private differing(): Promise<readonly Key[]> {
    return this.parts.db.transaction(async (sql) => {
      const stretch = { fromMs: this.throughMs, toMs: null };
      const entered = (await this.lately.entered(sql, stretch)) ?? [];
      const { events } = await this.lately.eventsOf(sql, entered, stretch);
      return this.parts.rederivation.differing(sql, events, DIFFERING_MAX);
    }, SNAPSHOT);
  }

  /** What keeps one row in motion keeps them all: it is waited for, and if it does not end the rest is left to another run. */
  private async healRows(keys: readonly Key[], isDryRun = this.isDryRun): Promise<Healed[]> {
    const { gameId, rederivation, clock } = this.parts;
    const healed: Healed[] = [];
    for (const key of keys) {
      const isOld = clock.monotonicMs() - this.advancedAtMs > ADVANCE_AFTER_MS;
      const verdict = (isOld ? await this.advance() : null) ?? (await this.healStillRow(key, isDryRun));
      if (verdict.kind === 'moving') return [...healed, ...this.all(verdict).healed];
      if (verdict.kind !== 'exact')
        healed.push({ gameId, playerId: key.subject, role: rederivation.role, verdict });
    }
    return healed;
  }

  private async healStillRow(key: Key, isDryRun: boolean): Promise<Verdict> {
    for (let round = 0; ; round += 1) {
      const verdict = await this.healRow(key, isDryRun);
      if (verdict.kind !== 'moving' || round >= ROUNDS_MAX) return verdict;
      await this.parts.clock.sleep(NEXT_ROUND_AFTER_MS);
    }
  }

  private async healRow(key: Key, isDryRun: boolean): Promise<Verdict> {
    const { db, clock, random, rederivation } = this.parts;
    const attempt = (): ReturnType<typeof undoneUnlessRepaired> =>
      undoneUnlessRepaired(db, (sql) => this.healIn(sql, key, isDryRun));
    const onRetry = (): void => undefined; // the verdict tells how it ended
    const verdict = await retryTransient(attempt, { clock, random, onRetry });
    if (verdict.kind === 'uncovered') return { kind: 'moving' };
    if (verdict.kind === 'repaired') await rederivation.refresh(key);
    return verdict;
  }

  private async healIn(sql: Sql, key: Key, isDryRun: boolean): Promise<Verdict> {
    const row = await this.parts.rederivation.lock(sql, key);
    const lately = await this.awaitLately(sql, this.parts.clock);
    if (lately === null) return { kind: 'moving' };
    try {
      const fault = await row.save(lately);
      if (fault === null) return { kind: 'exact', kept: [] };
      return { kind: isDryRun ? 'wrong' : 'repaired', wrong: [{ kind: 'score', ...fault }], kept: [] };
    } catch (error) {
      if (error instanceof PoisonError) return { kind: 'blocked', why: error.message };
      throw error;
    }
  }

  /** What the role settled since, read once the row is locked: what it settles from then on adds nothing to the row before the commit. */
  private async awaitLately(sql: Sql, clock: Clock): Promise<readonly RoleEvent[] | null> {
    const stretch = { fromMs: this.throughMs, toMs: null };
    const entered = await this.lately.entered(sql, stretch);
    if (entered === null) return null;
    const giveUpAtMs = clock.monotonicMs() + ARCHIVE_WAIT_MS;
    for (;;) {
      const { events, lacking } = await this.lately.eventsOf(sql, entered, stretch);
      if (lacking === 0) return events;
      if (clock.monotonicMs() >= giveUpAtMs) return null;
      await clock.sleep(ARCHIVE_LOOK_MS);
    }
  }

  /** What still differs, judged under the locks, changing nothing. */
  private async lookAgain(): Promise<readonly Healed[]> {
    const why = await this.advance();
    if (why !== null) return this.all(why).healed;
    return this.healRows(await this.differing(), true);
  }
}
