import type { DefinitionSource } from '../../games/port.js';
import type { Sql } from '../../postgres/port.js';
import type { RoleEvent, SharedRederivation } from '../port.js';
import { admittedEventOf, type ArchivedRow } from '../reconcile/archived-event.js';
import { archivedOf, enteredIn, type Entered, type Stretch } from './shared.postgres.js';

/** What a role settles in some seconds; more is a role that catches up, and waited for. */
const LATELY_MAX = 200_000;
/** Archive and role settle an event within this of each other, or the row waits for another run: no index finds an event alone. */
const APART_MS = 120_000;

/** Events of what took effect, and how much of it is not in the archive, or was there long before. */
export interface LatelyRead {
  readonly events: readonly RoleEvent[];
  readonly lacking: number;
}

export interface LatelyParts {
  readonly gameId: string;
  readonly rederivation: Pick<SharedRederivation<never>, 'role' | 'takes'>;
  readonly definitions: Pick<DefinitionSource, 'version'>;
}

/** Events that a role settled in a stretch of time. What was read is kept, so that under a lock only what is new is read. */
export class Lately {
  /** null: the role has no work for it. */
  private known = new Map<string, RoleEvent | null>();

  constructor(private readonly parts: LatelyParts) {}

  /** Remembers an event that was met elsewhere. */
  async meet(row: ArchivedRow, enteredUnder: number): Promise<void> {
    if (this.known.size < LATELY_MAX)
      this.known.set(nameOf(row), await roleEventOf(row, enteredUnder, this.parts));
  }

  forget(events: readonly RoleEvent[]): void {
    for (const { event } of events) this.known.delete(nameOf(event));
  }

  /** What took effect in a stretch of time; null: too much. */
  async entered(sql: Sql, stretch: Stretch): Promise<readonly Entered[] | null> {
    const entered = await enteredIn(
      sql,
      this.parts.rederivation.role,
      this.parts.gameId,
      stretch,
      LATELY_MAX,
    );
    return entered.length === LATELY_MAX ? null : entered;
  }

  /** The events of what took effect in that stretch, as far as the archive has them by now. */
  async eventsOf(sql: Sql, entered: readonly Entered[], stretch: Stretch): Promise<LatelyRead> {
    const unknown = new Map(
      entered.flatMap((one) => (this.known.has(nameOf(one)) ? [] : [[nameOf(one), one] as const])),
    );
    if (unknown.size > 0) await this.learn(sql, unknown, stretch);
    const events: RoleEvent[] = [];
    let lacking = 0;
    for (const one of entered) {
      const event = this.known.get(nameOf(one));
      if (event === undefined) lacking += 1;
      else if (event !== null) events.push(event);
    }
    return { events, lacking };
  }

  private async learn(
    sql: Sql,
    unknown: ReadonlyMap<string, Entered>,
    { fromMs, toMs }: Stretch,
  ): Promise<void> {
    if (this.known.size + unknown.size > LATELY_MAX) this.known = new Map();
    const archived = { fromMs: fromMs - APART_MS, toMs: toMs === null ? null : toMs + APART_MS };
    for (const row of await archivedOf(sql, this.parts.gameId, [...unknown.values()], archived)) {
      const enteredUnder = unknown.get(nameOf(row))?.enteredUnder;
      if (enteredUnder !== undefined)
        this.known.set(nameOf(row), await roleEventOf(row, enteredUnder, this.parts));
    }
  }
}

type Named = Pick<ArchivedRow, 'dedupeDay' | 'identity' | 'contentHash'>;

const nameOf = ({ dedupeDay, identity, contentHash }: Named): string =>
  `${dedupeDay} ${identity.replaceAll('-', '')} ${contentHash}`;

/** The event under the version it entered with; null when the role has no work for it. */
export async function roleEventOf(
  row: ArchivedRow,
  enteredUnder: number,
  { gameId, rederivation, definitions }: LatelyParts,
): Promise<RoleEvent | null> {
  const definition = await definitions.version(gameId, enteredUnder);
  if (!rederivation.takes(definition, row.type, definition.eventTypes.has(row.type))) return null;
  return { event: { ...admittedEventOf(row), definitionVersion: enteredUnder }, definition };
}
