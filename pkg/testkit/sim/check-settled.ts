import { ROLES, type RoleName } from '../../kernel/roles.js';
import { contentKey, Violation, type Ground } from './ground.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

/** I1, I9: whatever was acknowledged or published is settled in every role, in one way. */
export function checkSettled(
  { history, broker, world }: System,
  { inbox, letters, published }: Ground,
): void {
  const settle = (role: RoleName, identity: string, contentHash: string, invariant: string): void => {
    const isEntered = inbox.get(role)?.get(identity)?.['content_hash'] === contentHash;
    const letter = letters.get(`${role} ${contentKey(identity, contentHash)}`);
    if (isEntered && letter?.['state'] === 'open')
      throw new Violation(invariant, `${role} both applied and buried ${identity}`);
    if (!isEntered && letter === undefined)
      throw new Violation(invariant, `${role} lost ${identity} ${contentHash}`);
  };
  for (const { identity, contentHash, acknowledged, intent } of history.fates.values()) {
    if (acknowledged === 0) continue;
    world.coverage.saw('acknowledged event');
    if (!published.has(contentKey(identity, contentHash)))
      throw new Violation('I1', `acknowledged and never published: ${JSON.stringify(intent)}`);
    for (const role of ROLES) settle(role, identity, contentHash, 'I1');
  }
  for (const { identity, contentHash } of published.values()) {
    for (const role of broker.sendsPerRole ? (['archive'] as const) : ROLES)
      settle(role, identity, contentHash, 'I9');
  }
  for (const letter of letters.values()) {
    world.coverage.saw(`letter ${String(letter['reason'])}`);
    if (letter['reason'] !== 'event_id_conflict')
      throw new Violation(
        'I9',
        `a letter that nothing explains: ${String(letter['reason'])} ${String(letter['detail'])}`,
      );
  }
}

/** I3: what was only ever refused had no effect. */
export function checkRefused({ history, world }: System, { published }: Ground): void {
  for (const { identity, contentHash, sent, refused, intent } of history.fates.values()) {
    if (refused === 0 || refused < sent) continue;
    world.coverage.saw('refused event');
    if (published.has(contentKey(identity, contentHash)))
      throw new Violation('I3', `refused and published: ${JSON.stringify(intent)}`);
  }
}

/** Where every role has the same queue, the first content of an identity and its version are the same for all. */
export function checkRolesAgree({ broker }: System, { inbox }: Ground): void {
  if (broker.sendsPerRole) return;
  const archive = inbox.get('archive') ?? new Map<string, Row>();
  for (const role of ROLES) {
    const own = inbox.get(role) ?? new Map<string, Row>();
    if (own.size !== archive.size)
      throw new Violation(
        'I1',
        `${role} entered ${String(own.size)} events, archive ${String(archive.size)}`,
      );
    for (const [identity, row] of own) {
      const other = archive.get(identity);
      if (other?.['content_hash'] !== row['content_hash'])
        throw new Violation('I1', `${role} and archive hold different contents of ${identity}`);
      if (other?.['definition_version'] !== row['definition_version'])
        throw new Violation('I1', `${role} and archive hold different versions of ${identity}`);
    }
  }
}

/** The conservation law of role_counters. */
export function checkCounters({ store }: System, { inbox }: Ground): void {
  const applied = new Map<unknown, number>();
  for (const row of store.committed('role_counters')) {
    const [delivered, ...parts] = ['delivered', 'applied', 'duplicate', 'conflict', 'dead'].map(
      (name) => row[name] as number,
    );
    if (delivered !== parts.reduce((sum, part) => sum + part, 0))
      throw new Violation('I1', `delivered is not the sum of what became of it: ${JSON.stringify(row)}`);
    applied.set(row['role'], (applied.get(row['role']) ?? 0) + (row['applied'] as number));
  }
  for (const role of ROLES) {
    const entered = inbox.get(role)?.size ?? 0;
    if ((applied.get(role) ?? 0) !== entered)
      throw new Violation(
        'I1',
        `${role} counts ${String(applied.get(role))} applied and entered ${String(entered)}`,
      );
  }
}
