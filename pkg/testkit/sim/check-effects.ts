import type { Damage } from './damage.js';
import { eventsOf, Violation, type Ground } from './ground.js';
import { expectedProgress } from './oracle.js';
import { signedBy } from './signer.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

/** I2, I15: the archive has each entered event once, as it was published, and the profiles follow from it. */
export function checkArchive({ store }: System, ground: Ground): void {
  const expected = new Map(eventsOf(ground, 'archive').map((event) => [event.identity, event]));
  const rows = store.committed('events');
  if (rows.length !== expected.size)
    throw new Violation(
      'I1',
      `the archive has ${String(rows.length)} rows for ${String(expected.size)} events`,
    );
  const profiles = new Map<string, { first: number; last: number; events: number }>();
  for (const row of rows) {
    const event = expected.get(row['identity'] as string);
    if (event?.contentHash !== row['content_hash'] || event?.tsMs !== row['ts_ms'])
      throw new Violation('I2', `the archive has another event than was entered: ${String(row['identity'])}`);
    const key = keyText(row['game_id'], row['player_id']);
    const profile = profiles.get(key) ?? { first: Infinity, last: -Infinity, events: 0 };
    const tsMs = row['ts_ms'] as number;
    profiles.set(key, {
      first: Math.min(profile.first, tsMs),
      last: Math.max(profile.last, tsMs),
      events: profile.events + 1,
    });
  }
  for (const row of store.committed('player_profiles')) {
    const profile = profiles.get(keyText(row['game_id'], row['player_id']));
    const isRight =
      profile?.first === row['first_seen_ms'] &&
      profile?.last === row['last_seen_ms'] &&
      profile?.events === row['events'];
    if (!isRight) throw new Violation('I8', `a profile is not what its events make: ${JSON.stringify(row)}`);
  }
  if (store.committed('player_profiles').length !== profiles.size)
    throw new Violation('I2', 'a profile is missing');
}

/** I5, I6: totals, levels, the ledger, and one receipt per grant. */
export function checkProgress({ store, damage }: System, ground: Ground): void {
  const left = damage.leftToPeople(ground);
  const isJudged = (one: Row): boolean => !left.has(keyText(one['game_id'], one['player_id']));
  const rowsOf = (table: string): Row[] => store.committed(table).filter(isJudged);
  const events = eventsOf(ground, 'progression').filter(
    ({ gameId, playerId }) => !left.has(keyText(gameId, playerId)),
  );
  const players = expectedProgress(events);
  for (const row of rowsOf('player_progress')) {
    const key = keyText(row['game_id'], row['player_id']);
    const player = players.get(key);
    if (player?.totalXp !== row['total_xp'])
      throw new Violation(
        'I5',
        `${key} has ${String(row['total_xp'])} XP, its events give ${String(player?.totalXp)}`,
      );
    if (player?.level !== row['level'] || player?.definitionVersion !== row['definition_version'])
      throw new Violation(
        'I8',
        `${key} has level ${String(row['level'])}, its events give ${String(player?.level)}`,
      );
  }
  if (rowsOf('player_progress').length !== players.size) throw new Violation('I5', 'a player is missing');
  const ledger = rowsOf('progress_events').map(
    (row) => `${String(row['identity'])} ${String(row['delta_xp'])}`,
  );
  const gains = events.filter(({ type }) => type === 'progression');
  const wanted = gains.map(({ identity, payload }) => `${identity} ${String(payload['deltaXp'])}`);
  if (ledger.sort().join() !== wanted.sort().join())
    throw new Violation('I5', 'the ledger is not what was entered');
  checkReceipts(rowsOf('receipts'), players, new Set(events.map(({ id }) => id)), damage);
}

function checkReceipts(
  receipts: readonly Row[],
  players: ReturnType<typeof expectedProgress>,
  eventIds: ReadonlySet<string>,
  damage: Pick<Damage, 'levels'>,
): void {
  // Whose XP was another for a while may have been paid for levels that no events make: what was handed out stays.
  const isPaidByDamage = (player: string, grantKey: string): boolean =>
    grantKey.startsWith('level:') && damage.levels.has(player);

  const granted = new Map<string, Set<string>>();
  for (const row of receipts) {
    const key = keyText(row['game_id'], row['player_id']);
    const grantKey = row['grant_key'] as string;
    const keys = granted.get(key) ?? new Set<string>();
    granted.set(key, keys);
    if (keys.has(grantKey)) throw new Violation('I6', `${key} was paid ${grantKey} twice`);
    keys.add(grantKey);
    if (players.get(key)?.grants.has(grantKey) !== true && !isPaidByDamage(key, grantKey))
      throw new Violation('I6', `${key} was paid ${grantKey} for nothing`);
    if (!eventIds.has(row['event_id'] as string))
      throw new Violation('I2', `${grantKey} is due to an event nobody entered`);
    const grant = {
      ...{ sub: row['player_id'] as string, jti: row['receipt_id'] as string, cause: grantKey },
      ...{ iat: Math.floor((row['ts_ms'] as number) / 1000), reward: row['reward'] as string },
      ...{ amount: row['amount'] as number, src: row['src'] as 'server' },
    };
    if (row['jws'] !== signedBy(row['game_id'] as string, grant))
      throw new Violation('I6', `the receipt of ${grantKey} is not signed`);
  }
  for (const [key, { grants }] of players) {
    const missing = [...grants].find((grant) => granted.get(key)?.has(grant) !== true);
    if (missing !== undefined) throw new Violation('I6', `${key} was never paid ${missing}`);
  }
}
