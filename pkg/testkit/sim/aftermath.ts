import { archiveRole } from '../../archive/role.js';
import { fairnessRole } from '../../fairness/role.js';
import type { Delivery } from '../../bus/port.js';
import { encodeEvent, type AdmittedEvent } from '../../contract/event.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import { leaderboardRole } from '../../leaderboard/role.js';
import { createProgressionRole } from '../../progression/role.js';
import { recordAction } from '../../worker/dead-letters/queries.postgres.js';
import { createDispatch } from '../../worker/dispatch.js';
import type { Role } from '../../worker/port.js';
import { admittedEventOf, type ArchivedRow } from '../../worker/reconcile/archived-event.js';
import { redriveLetters, submitCopies } from '../../worker/resubmissions/postgres.js';
import { quietMetrics } from '../quiet.js';
import { definitionOf } from './game.js';
import { contentKey, eventsOf, groundOf, Violation, type Ground } from './ground.js';
import { SimNode } from './node.js';
import { simSigner } from './signer.js';
import { SimDatabase } from './store/client.js';
import { seedGames } from './store/seed-games.js';
import { StoreServer } from './store/server.js';
import type { System } from './system.js';

const DECISION = { actor: 'ada', why: 'everything once more' };

/** What the effects of events are kept in, with the columns that do not tell when and how often somebody looked. */
const EFFECTS: Readonly<Record<string, readonly string[]>> = {
  events: ['identity', 'content_hash', 'ts_ms', 'definition_version'],
  player_profiles: ['game_id', 'player_id', 'first_seen_ms', 'last_seen_ms', 'events'],
  player_progress: ['game_id', 'player_id', 'total_xp', 'level', 'definition_version'],
  // Of two claims of one drop the first is paid: which that is depends on the order.
  receipts: ['game_id', 'player_id', 'grant_key'],
  board_scores: ['game_id', 'board', 'cycle', 'partition', 'subject', 'score', 'reached_at', 'reached_id'],
};
const COUNTED: Readonly<Record<string, readonly string[]>> = {
  ...EFFECTS,
  receipts: ['game_id', 'player_id', 'grant_key', 'receipt_id', 'jws'],
  board_scores: [...(EFFECTS['board_scores'] ?? []), 'revision'],
  progress_events: ['identity', 'delta_xp'],
  fairness_samples: ['game_id', 'player_id', 'metric', 'partition', 'sample_no', 'identity', 'value'],
  suspicious_events: ['game_id', 'player_id', 'metric', 'identity', 'z'],
  inbox: ['role', 'identity', 'content_hash', 'definition_version'],
  dead_letters: ['id', 'state'],
};

type Picture = ReadonlyMap<string, readonly string[]>;

const pictureOf = (store: StoreServer, columns: Readonly<Record<string, readonly string[]>>): Picture =>
  new Map(
    Object.entries(columns).map(([table, names]) => [
      table,
      store
        .committed(table)
        .map((row) => names.map((name) => String(row[name])).join(' '))
        .sort(),
    ]),
  );

function compare(invariant: string, before: Picture, after: Picture, what: string): void {
  for (const [table, rows] of before) {
    const now = after.get(table) ?? [];
    const changed = now.find((row, i) => row !== rows[i]) ?? rows.find((row, i) => row !== now[i]);
    if (changed !== undefined) throw new Violation(invariant, `${what} changed ${table}: ${changed}`);
  }
}

/** I10: everything that is settled is sent to its roles once more, and every decided letter redriven: nothing changes. */
export async function sendAllAgain(system: System, rest: () => Promise<void>): Promise<void> {
  const { store, admin, world } = system;
  const before = pictureOf(store, COUNTED);
  const ground = groundOf(system);
  const db = system.databaseOf(admin);
  const copies = ROLES.flatMap((role) =>
    eventsOf(ground, role).map((event) => ({ role, event, body: encodeEvent(event) })),
  );
  const decided = store.committed('dead_letters').filter(({ state }) => state !== 'open');
  let sent: number | null = null;
  const send = async (): Promise<number> => {
    const actionId = await recordAction(db, 'reconcile', DECISION, {});
    await submitCopies(db, copies, actionId);
    return redriveLetters(
      db,
      decided.map(({ id }) => id as number),
      actionId,
    );
  };
  send().then((count) => (sent = count), system.failed);
  await world.run(() => sent !== null || system.bug !== null);
  if (sent !== 0) throw new Violation('I10', 'a letter that was decided about is on its way again');
  world.coverage.saw('sent again', copies.length);
  await rest();
  compare('I10', before, pictureOf(store, COUNTED), 'what was settled and sent again');
}

const BATCH = 25;

/** I15, I8: what the archive says of the events that each role entered gives the same state, in another order and other batches. */
export async function deriveAnew(system: System): Promise<void> {
  const { world } = system;
  const fresh = new StoreServer(world);
  seedGames(fresh);
  const node = new SimNode(world, 'anew');
  node.start();
  const db = new SimDatabase(node, fresh, system.failed);
  const archived = archivedEvents(system);
  const ground = groundOf(system);
  const definitions = {
    inForce: async (gameId: string) => definitionOf(gameId, 2),
    version: async (gameId: string, version: number) => definitionOf(gameId, version),
  };
  const { clock, random } = node;
  const deadLetters = system.lettersOf(db);
  const shared = { db, definitions, deadLetters, clock, random, metrics: quietMetrics, logger: system.log };
  const feed = async <State, Changes>(role: Role<State, Changes>): Promise<void> => {
    const handler = createDispatch({ ...shared, role });
    const all = world.chance.shuffled(enteredBy(role.name, ground, archived)).map(deliveryOf);
    for (let at = 0; at < all.length; at += BATCH) await handler(all.slice(at, at + BATCH));
  };
  let isDone = false;
  const all = async (): Promise<void> => {
    await feed(archiveRole);
    await feed(createProgressionRole({ definitions, signer: simSigner }));
    await feed(leaderboardRole({ refresh: async () => undefined }));
    await feed(fairnessRole);
    isDone = true;
  };
  all().catch(system.failed);
  await world.run(() => isDone || system.bug !== null);
  node.kill();
  compare('I15', pictureOf(system.store, EFFECTS), pictureOf(fresh, EFFECTS), 'deriving it anew');
}

const parsed = (value: unknown): unknown =>
  typeof value === 'string' ? (JSON.parse(value) as unknown) : value;

/** By identity and content, as the archive has them. */
const archivedEvents = ({ store }: System): ReadonlyMap<string, AdmittedEvent> =>
  new Map(
    store.committed('events').map((row) => {
      const event = admittedEventOf({
        ...{ gameId: row['game_id'], playerId: row['player_id'], id: row['event_id'], type: row['type'] },
        ...{ tsMs: row['ts_ms'], payload: parsed(row['payload']), identity: row['identity'] },
        ...{
          dedupeDay: row['dedupe_day'],
          contentHash: row['content_hash'],
          receivedAtMs: row['received_at_ms'],
        },
        ...{ src: row['src'], keyId: row['key_id'], definitionVersion: row['definition_version'] },
        ...{ schemaVersion: row['schema_version'] ?? null, context: parsed(row['context'] ?? null) },
      } as ArchivedRow);
      return [contentKey(event.identity, event.contentHash), event];
    }),
  );

/** What a role entered, under the version it entered with: from the archive, or from its own queue where the two differ. */
const enteredBy = (
  role: RoleName,
  ground: Ground,
  archived: ReadonlyMap<string, AdmittedEvent>,
): AdmittedEvent[] =>
  eventsOf(ground, role).map((event) => {
    const known = archived.get(contentKey(event.identity, event.contentHash));
    return { ...(known ?? event), definitionVersion: event.definitionVersion };
  });

const deliveryOf = (event: AdmittedEvent): Delivery => ({
  ...{ gameId: event.gameId, playerId: event.playerId, messageId: event.contentHash, headers: {} },
  ...{ position: event.identity, attempt: 1, body: encodeEvent(event) },
});

/** I15 of the views: all of them built anew while nothing else happens. */
export async function rebuildViews(system: System, rest: () => Promise<void>): Promise<void> {
  const { world, admin } = system;
  if (!world.swarm.hasView) return;
  let isDone = false;
  system
    .viewOf(admin, system.databaseOf(admin))
    .rebuild({})
    .then(() => (isDone = true), system.failed);
  await world.run(() => isDone || system.bug !== null);
  await rest();
}
