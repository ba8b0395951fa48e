import { FairtallyError } from '../../kernel/errors.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { SealedPlace, Sealer } from '../../secrets/port.js';
import type { Game, KeyRing, Scheme, Scope, SessionRevocation, SigningKey } from '../port.js';

export interface RefreshingKeyRing extends KeyRing {
  /**
   * Reads keys and games, then revocations: trouble with the second leaves the first in place.
   *
   * A secret that cannot be opened leaves its key or game out, as if there were none, and is told to `onUnreadable`. A game with
   * more revocations than are kept is told to `onOverfull` and left without.
   */
  refresh(): Promise<void>;
}

export interface KeyRingParts {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Told once of games whose sessions are refused from now on: they have more revocations than are kept. */
  readonly onOverfull: (gameIds: readonly string[]) => void;
  /** Told once of secrets that no master key at hand opens, as `<table> <game> <key id>`; not of keys that have ended. */
  readonly onUnreadable: (secrets: readonly string[]) => void;
  readonly revocationLimits?: RevocationLimits;
}

/** Live session revocations that are kept: of one game, and of all together. */
export interface RevocationLimits {
  readonly perGame: number;
  readonly total: number;
}

interface Revocations {
  readonly byGame: ReadonlyMap<string, readonly SessionRevocation[]>;
  /** Games that have more than is kept. */
  readonly overfull: ReadonlySet<string>;
}

const DAY_MS = 86_400_000;
const MAX_KEYS = 100_000;
const MAX_GAMES = 1000;
const REVOCATION_LIMITS: RevocationLimits = { perGame: 50_000, total: 250_000 };
const NONE: readonly SessionRevocation[] = [];

export function createKeyRing(parts: KeyRingParts): RefreshingKeyRing {
  const { database, sealer, clock, onOverfull, onUnreadable, revocationLimits = REVOCATION_LIMITS } = parts;
  let keys: ReadonlyMap<string, SigningKey> = new Map();
  let games: ReadonlyMap<string, Game> = new Map();
  let revocations: Revocations = { byGame: new Map(), overfull: new Set() };
  let freshAtMs: number | null = null;
  let opened = new Map<string, Buffer>();
  let unreadable: ReadonlySet<string> = new Set();

  const refreshKeys = async (): Promise<void> => {
    const rows = await readKeysAndGames(database);
    const opener = openOnce(sealer, opened);
    keys = byId(
      rows.keys.flatMap((row) => keyOf(row, opener)),
      (key) => key.keyId,
    );
    games = byId(
      rows.games.flatMap((row) => gameOf(row, opener)),
      (game) => game.gameId,
    );
    opened = opener.opened;
    const more = [...opener.unreadable].filter((secret) => !unreadable.has(secret));
    unreadable = opener.unreadable;
    if (more.length > 0) onUnreadable(more);
  };

  const refresh = async (): Promise<void> => {
    // Measured before reading: what changes while the answer travels is not known yet.
    const startedAtMs = clock.monotonicMs();
    await refreshKeys();
    const known = revocations.overfull;
    revocations = await readRevocations(database, revocationLimits);
    const more = [...revocations.overfull].filter((gameId) => !known.has(gameId));
    if (more.length > 0) onOverfull(more);
    freshAtMs = startedAtMs;
  };

  return {
    key: (keyId) => keys.get(keyId) ?? null,
    game: (gameId) => games.get(gameId) ?? null,
    revocations: (gameId) => revocations.byGame.get(gameId) ?? NONE,
    revocationsAreKnown: (gameId) => !revocations.overfull.has(gameId),
    ageMs: () => (freshAtMs === null ? Infinity : clock.monotonicMs() - freshAtMs),
    refresh,
  };
}

const byId = <T>(items: readonly T[], idOf: (item: T) => string): ReadonlyMap<string, T> =>
  new Map(items.map((item) => [idOf(item), item]));

interface Opener {
  /** null when no master key at hand opens it: a silence that only what has ended deserves. */
  open(sealed: string, place: SealedPlace, hasEnded: boolean): Buffer | null;
  /** What this refresh opened, so that the next one need not. */
  readonly opened: Map<string, Buffer>;
  readonly unreadable: ReadonlySet<string>;
}

function openOnce(sealer: Sealer, before: ReadonlyMap<string, Buffer>): Opener {
  const opened = new Map<string, Buffer>();
  const unreadable = new Set<string>();
  const open = (sealed: string, place: SealedPlace, hasEnded: boolean): Buffer | null => {
    const id = `${place.table}/${place.gameId}/${place.keyId}/${sealed}`;
    try {
      const plain = before.get(id) ?? sealer.open(sealed, place);
      opened.set(id, plain);
      return plain;
    } catch (error) {
      if (!(error instanceof FairtallyError)) throw error;
      if (!hasEnded) unreadable.add(`${place.table} ${place.gameId} ${place.keyId}`);
      return null;
    }
  };
  return { open, opened, unreadable };
}

interface KeyRow {
  readonly key_id: string;
  readonly game_id: string;
  readonly secret: string;
  readonly scopes: Scope[];
  readonly schemes: Scheme[];
  readonly trust: SigningKey['trust'];
  readonly debug: boolean;
  readonly not_before: Date;
  readonly not_after: Date | null;
  readonly revoked_at: Date | null;
  readonly has_ended: boolean;
}

interface GameRow {
  readonly game_id: string;
  readonly dedupe_floor: string;
  readonly acceptance_past_days: number;
  readonly acceptance_ahead_ms: number;
  readonly session_master_id: string;
  readonly session_master: string;
}

interface RevocationRow {
  readonly game_id: string;
  readonly sid: string | null;
  readonly player_id: string | null;
  readonly key_id: string | null;
  readonly issued_before: Date;
}

interface Rows {
  readonly keys: readonly KeyRow[];
  readonly games: readonly GameRow[];
}

/** A key that ended is read for one more day, so that its use is told from that of a key nobody ever had. */
const KEYS = `SELECT key_id, game_id, secret, scopes, schemes, trust, debug, not_before, not_after, revoked_at,
    coalesce(least(not_after, revoked_at) <= now(), false) AS has_ended
  FROM signing_keys WHERE least(not_after, revoked_at) IS NULL OR least(not_after, revoked_at) > now() - interval '1 day'
  ORDER BY key_id LIMIT $1`;
const GAMES = `SELECT game_id, dedupe_floor, acceptance_past_days, acceptance_ahead_ms, session_master_id, session_master
  FROM games ORDER BY game_id LIMIT $1`;

const readKeysAndGames = (database: Database): Promise<Rows> =>
  database.transaction(
    async (sql) => ({
      keys: await readAll<KeyRow>(sql, KEYS, MAX_KEYS, 'signing keys'),
      games: await readAll<GameRow>(sql, GAMES, MAX_GAMES, 'games'),
    }),
    { isolation: 'repeatable read', readOnly: true },
  );

/** How many each game has, counted no further than the limit. */
const REVOCATION_COUNTS = `SELECT g.game_id, live.count FROM games g CROSS JOIN LATERAL (
    SELECT count(*) AS count FROM (
      SELECT FROM session_revocations r WHERE r.game_id = g.game_id AND r.expires_at > now() LIMIT $1 + 1) few
  ) live WHERE live.count > 0 ORDER BY live.count, g.game_id`;
const REVOCATIONS = `SELECT game_id, sid, player_id, key_id, issued_before
  FROM session_revocations WHERE game_id = ANY ($1::text[]) AND expires_at > now() ORDER BY id DESC`;

/** Of one snapshot. A game with too many is left out, those with the most first: it must not cost the others theirs. */
const readRevocations = (database: Database, limits: RevocationLimits): Promise<Revocations> =>
  database.transaction(
    async (sql) => {
      const counts = await sql.query<{ game_id: string; count: number }>(REVOCATION_COUNTS, [limits.perGame]);
      let total = 0;
      const isKept = (count: number): boolean => count <= limits.perGame && (total += count) <= limits.total;
      const kept = new Set(counts.filter(({ count }) => isKept(count)).map((row) => row.game_id));
      const rows = await sql.query<RevocationRow>(REVOCATIONS, [[...kept]]);
      const overfull = counts.map((row) => row.game_id).filter((gameId) => !kept.has(gameId));
      return { byGame: groupRevocations(rows), overfull: new Set(overfull) };
    },
    { isolation: 'repeatable read', readOnly: true },
  );

/** All rows or none: a ring that silently lacks some would look like a loss of keys. */
async function readAll<Row extends object>(
  sql: Sql,
  text: string,
  most: number,
  what: string,
): Promise<Row[]> {
  const rows = await sql.query<Row>(text, [most + 1]);
  if (rows.length > most)
    throw new FairtallyError('key_ring_full', `there are more than ${String(most)} ${what}`);
  return rows;
}

function keyOf(row: KeyRow, opener: Opener): SigningKey[] {
  const place = { table: 'signing_keys', gameId: row.game_id, keyId: row.key_id };
  const secret = opener.open(row.secret, place, row.has_ended);
  if (secret === null) return [];
  return [
    {
      keyId: row.key_id,
      gameId: row.game_id,
      secret: secret.toString('utf8'),
      scopes: new Set(row.scopes),
      schemes: new Set(row.schemes),
      trust: row.trust,
      debug: row.debug,
      notBeforeMs: row.not_before.getTime(),
      notAfterMs: row.not_after?.getTime() ?? null,
      revokedAtMs: row.revoked_at?.getTime() ?? null,
    },
  ];
}

function gameOf(row: GameRow, opener: Opener): Game[] {
  const place = { table: 'games', gameId: row.game_id, keyId: row.session_master_id };
  const sessionMaster = opener.open(row.session_master, place, false);
  if (sessionMaster === null) return [];
  return [
    {
      gameId: row.game_id,
      dedupeFloor: row.dedupe_floor,
      acceptancePastMs: row.acceptance_past_days * DAY_MS,
      acceptanceAheadMs: row.acceptance_ahead_ms,
      sessionMasterId: row.session_master_id,
      sessionMaster,
    },
  ];
}

function groupRevocations(rows: readonly RevocationRow[]): ReadonlyMap<string, readonly SessionRevocation[]> {
  const groups = new Map<string, SessionRevocation[]>();
  for (const row of rows) {
    const revocation = {
      gameId: row.game_id,
      sid: row.sid,
      playerId: row.player_id,
      keyId: row.key_id,
      issuedBeforeMs: row.issued_before.getTime(),
    };
    const group = groups.get(row.game_id);
    if (group === undefined) groups.set(row.game_id, [revocation]);
    else group.push(revocation);
  }
  return groups;
}
