import { CRASHES_MAX } from '../../worker/crash-guard/rules.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import { FOREIGN_REASONS } from './foreign.js';
import { contentKey, letterKey, Violation, type Ground } from './ground.js';
import { isKiller } from './hands.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import { WRONG_RULE } from './wrong-rule.js';
import type { System } from './system.js';

const NOTHING: ReadonlyMap<string, Row> = new Map();

/** I1, I9: whatever was acknowledged or published is settled in every role, in one way. */
export function checkSettled(system: System, ground: Ground): void {
  const { history, broker, world } = system;
  const { published } = ground;
  for (const { identity, contentHash, acknowledged, intent } of history.fates.values()) {
    if (acknowledged === 0) continue;
    world.coverage.saw('acknowledged event');
    if (!published.has(contentKey(identity, contentHash)))
      throw new Violation('I1', `acknowledged and never published: ${JSON.stringify(intent)}`);
    for (const role of ROLES) checkOne('I1', role, identity, contentHash, ground);
  }
  // Where each role's copy is sent by itself, what nobody acknowledged may have reached the archive alone.
  const roles = broker.sendsPerRole ? (['archive'] as const) : ROLES;
  for (const { identity, contentHash } of published.values())
    for (const role of roles) checkOne('I9', role, identity, contentHash, ground);
  checkLetters(ground, system);
}

function checkOne(
  invariant: string,
  role: RoleName,
  identity: string,
  contentHash: string,
  ground: Ground,
): void {
  const isEntered = ground.inbox.get(role)?.get(identity)?.['content_hash'] === contentHash;
  const letter = ground.letters.get(letterKey(role, identity, contentHash));
  if (isEntered && letter?.['state'] === 'open')
    throw new Violation(invariant, `${role} both applied and buried ${identity}`);
  if (!isEntered && letter?.['state'] === 'applied')
    throw new Violation(invariant, `${role} closed a letter of ${identity}, which never took effect`);
  if (!isEntered && letter === undefined)
    throw new Violation(invariant, `${role} lost ${identity} ${contentHash}`);
}

/** I9: a letter says why, how often and since when; and only what cannot be applied becomes one. */
function checkLetters({ letters, inbox, barred, published }: Ground, { world, hands }: System): void {
  const contents = new Map<string, number>();
  for (const { role, identity } of letters.values()) {
    const key = keyText(role, identity);
    contents.set(key, (contents.get(key) ?? 0) + 1);
  }
  for (const letter of letters.values()) {
    const { role, reason, detail, attempts, first_seen_at, last_seen_at, identity } = letter;
    world.coverage.saw(`letter ${String(reason)}`);
    const isWhole = (attempts as number) >= 1 && (first_seen_at as number) <= (last_seen_at as number);
    if (!isWhole) throw new Violation('I9', `a letter without its history: ${JSON.stringify(letter)}`);
    if (reason === 'event_id_conflict') {
      const standing = inbox.get(role as RoleName) ?? NOTHING;
      const entered = (standing.get(identity as string) ??
        barred.get(role as RoleName)?.get(identity as string))?.['content_hash'];
      const isSecond = entered !== undefined && entered !== letter['content_hash'];
      if (!isSecond && (contents.get(keyText(role, identity)) ?? 0) < 2)
        throw new Violation('I9', `${String(role)} refused ${String(identity)} for a conflict that is none`);
      continue;
    }
    if (reason === WRONG_RULE && world.swarm.hasWrongRule) continue;
    const id = published.get(contentKey(identity, letter['content_hash']))?.id ?? '';
    if (reason === 'crash_loop') {
      if (!isKiller(id) && (hands.diedAlone.get(keyText(role, identity)) ?? 0) < CRASHES_MAX)
        throw new Violation('I9', `${String(role)} blames ${id} for crashes that it has no part in`);
      continue;
    }
    const isForeign = identity === null || id.startsWith('foreign-');
    if (!isForeign || !FOREIGN_REASONS.has(reason as string))
      throw new Violation('I9', `a letter that nothing explains: ${String(reason)} ${String(detail)}`);
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
export function checkRolesAgree({ broker }: System, { inbox, barred, letters }: Ground): void {
  if (broker.sendsPerRole) return;
  const archive = inbox.get('archive') ?? NOTHING;
  for (const role of ROLES) {
    const own = inbox.get(role) ?? NOTHING;
    const never = barred.get(role) ?? NOTHING;
    for (const [identity, row] of archive) {
      if (never.has(identity)) continue;
      const other = own.get(identity) ?? letters.get(letterKey(role, identity, row['content_hash']));
      const diedHere = letters.has(letterKey(role, identity, row['content_hash']));
      if (other?.['content_hash'] !== row['content_hash'])
        throw new Violation('I1', `${role} and archive hold different contents of ${identity}`);
      // What died in a role first may take effect there under the version that it came with later.
      if (diedHere) continue;
      const version = other?.['definition_version'];
      if (version !== undefined && version !== row['definition_version'])
        throw new Violation('I1', `${role} and archive hold different versions of ${identity}`);
    }
    for (const identity of own.keys())
      if (!archive.has(identity) && barred.get('archive')?.has(identity) !== true)
        throw new Violation('I1', `${role} entered ${identity}, the archive did not`);
  }
}

/** The conservation law of role_counters. */
export function checkCounters({ store }: System, { inbox }: Ground): void {
  const applied = new Map<unknown, number>();
  for (const row of store.committed('role_counters')) {
    const { role, delivered, ...counts } = row;
    const parts = ['applied', 'duplicate', 'conflict', 'dead'].map((name) => counts[name] as number);
    if (delivered !== parts.reduce((sum, part) => sum + part, 0))
      throw new Violation('I1', `delivered is not the sum of what became of it: ${JSON.stringify(row)}`);
    applied.set(role, (applied.get(role) ?? 0) + (counts['applied'] as number));
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

/** I1 where a reconciler runs: what only the archive got, the others have in the end. */
export function checkReconciled({ world }: System, { inbox, barred, letters, corrected }: Ground): void {
  if (!world.swarm.hasReconciler) return;
  for (const [identity, row] of inbox.get('archive') ?? NOTHING) {
    if (corrected.has(contentKey(identity, row['content_hash']))) continue;
    for (const role of ROLES) {
      const isKnown =
        inbox.get(role)?.has(identity) === true ||
        barred.get(role)?.has(identity) === true ||
        letters.has(letterKey(role, identity, row['content_hash']));
      if (!isKnown) throw new Violation('I1', `the archive has ${identity}, and ${role} never got it`);
    }
  }
}

/** I10, I11: what was sent again went to the role of its letter, and an operator's filter holds. */
export function checkOperators({ store }: System): void {
  const letters = new Map(store.committed('dead_letters').map((row) => [row['id'], row]));
  const actions = new Map(store.committed('operator_actions').map((row) => [row['id'], row]));
  for (const row of store.committed('resubmissions')) {
    const letter = letters.get(row['letter_id']);
    if (letter !== undefined && letter['role'] !== row['role'])
      throw new Violation('I10', `a letter of ${String(letter['role'])} was sent to ${String(row['role'])}`);
    if (row['state'] === 'pending') throw new Violation('I14', 'something is on its way to a role for ever');
  }
  for (const letter of letters.values()) {
    const scope = actions.get(letter['action_id'])?.['scope'];
    const gameId =
      scope === undefined ? undefined : (JSON.parse(scope as string) as { gameId?: string }).gameId;
    if (gameId !== undefined && letter['game_id'] !== gameId)
      throw new Violation(
        'I11',
        `a decision about ${gameId} reached a letter of ${String(letter['game_id'])}`,
      );
  }
}
