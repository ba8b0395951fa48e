import type { BusMessage } from '../../bus/port.js';
import { decodeEvent, type AdmittedEvent } from '../../contract/event.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

/** A promise that a run broke: `I1` ... `I17` as docs/reliability.md numbers them. */
export class Violation extends Error {
  override readonly name = 'Violation';

  constructor(
    readonly invariant: string,
    what: string,
  ) {
    super(`${invariant}: ${what}`);
  }
}

/** What roles entered, and what was published: the ground every check stands on. */
export interface Ground {
  /** By role, then by identity: what may have had an effect. */
  readonly inbox: ReadonlyMap<RoleName, ReadonlyMap<string, Row>>;
  /** By role, then by identity: what an operator decided never takes effect. */
  readonly barred: ReadonlyMap<RoleName, ReadonlyMap<string, Row>>;
  /** By role, identity and content. */
  readonly letters: ReadonlyMap<string, Row>;
  /** By identity and content: what was on the bus. */
  readonly published: ReadonlyMap<string, AdmittedEvent>;
  /** By identity and content: what took the place of a dead event. */
  readonly corrected: ReadonlyMap<string, AdmittedEvent>;
}

export const contentKey = (identity: unknown, contentHash: unknown): string =>
  `${String(identity)} ${String(contentHash)}`;

export const letterKey = (role: unknown, identity: unknown, contentHash: unknown): string =>
  `${String(role)} ${contentKey(identity, contentHash)}`;

export function groundOf({ store, broker }: System): Ground {
  const inbox = new Map<RoleName, Map<string, Row>>(ROLES.map((role) => [role, new Map()]));
  const barred = new Map<RoleName, Map<string, Row>>(ROLES.map((role) => [role, new Map()]));
  for (const row of store.committed('inbox')) {
    const entered = (row['definition_version'] as number) > 0 ? inbox : barred;
    entered.get(row['role'] as RoleName)?.set(row['identity'] as string, row);
  }
  const letters = new Map<string, Row>();
  for (const row of store.committed('dead_letters'))
    letters.set(
      letterKey(row['role'], row['identity'] ?? row['transport_position'], row['content_hash']),
      row,
    );
  const published = new Map<string, AdmittedEvent>();
  for (const message of broker.published) {
    const event = readable(message);
    if (event === null) continue;
    published.set(contentKey(event.identity, event.contentHash), event);
  }
  const corrected = new Map<string, AdmittedEvent>();
  for (const { body, letter_id } of store.committed('resubmissions')) {
    const event = letter_id === null ? readable({ body: body as string }) : null;
    if (event?.context?.corrects !== undefined)
      corrected.set(contentKey(event.identity, event.contentHash), event);
  }
  return { inbox, barred, letters, published, corrected };
}

/** The events that a role entered, each under the version it entered with. */
export function eventsOf({ inbox, published, corrected }: Ground, role: RoleName): AdmittedEvent[] {
  return [...(inbox.get(role) ?? new Map<string, Row>()).values()].map((row) => {
    const key = contentKey(row['identity'], row['content_hash']);
    const event = published.get(key) ?? corrected.get(key);
    if (event === undefined) throw new Violation('I2', `${role} entered an event that nobody published`);
    return { ...event, definitionVersion: row['definition_version'] as number };
  });
}

type WithBody = Pick<BusMessage, 'body'>;
const read = new WeakMap<WithBody, AdmittedEvent | null>();

/** The event of a message; null: a foreign message, its letters are looked for by their place. */
export function readable(message: WithBody): AdmittedEvent | null {
  let event = read.get(message);
  if (event === undefined) read.set(message, (event = decoded(message.body)));
  return event;
}

function decoded(body: string): AdmittedEvent | null {
  try {
    return decodeEvent(body);
  } catch {
    return null; // the caller knows what that means
  }
}
