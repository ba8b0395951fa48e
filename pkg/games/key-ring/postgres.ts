import { FairtallyError } from '../../kernel/errors.js';
import type { Clock } from '../../kernel/clock.js';
import type { Database, Sql } from '../../postgres/port.js';
import type { SealedPlace, Sealer } from '../../secrets/port.js';
import type { Game, KeyRing, Scheme, Scope, SessionRevocation, SigningKey } from '../port.js';

export interface RefreshingKeyRing extends KeyRing {
  /**
   * Reads keys, games and revocations in one snapshot. A secret that cannot be opened leaves its key or game out;
   * everything else is in place when this rejects with `secret_unreadable`.
   */
  refresh(): Promise<void>;
}

export interface KeyRingParts {
  readonly database: Database;
  readonly sealer: Sealer;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

interface Ring {
  readonly keys: ReadonlyMap<string, SigningKey>;
  readonly games: ReadonlyMap<string, Game>;
  readonly revocations: ReadonlyMap<string, readonly SessionRevocation[]>;
}

const DAY_MS = 86_400_000;
const MAX_KEYS = 100_000;
const MAX_GAMES = 1000;
const MAX_REVOCATIONS = 100_000;
const NONE: readonly SessionRevocation[] = [];

export function createKeyRing({ database, sealer, clock }: KeyRingParts): RefreshingKeyRing {
  let ring: Ring = { keys: new Map(), games: new Map(), revocations: new Map() };
  let freshAtMs: number | null = null;
  let opened = new Map<string, Buffer>();

  const refresh = async (): Promise<void> => {
    // Measured before reading: what changes while the answer travels is not known yet.
    const startedAtMs = clock.monotonicMs();
    const rows = await readRows(database);
    const opener = openOnce(sealer, opened);
    ring = {
      keys: byId(
        rows.keys.flatMap((row) => keyOf(row, opener)),
        (key) => key.keyId,
      ),
      games: byId(
        rows.games.flatMap((row) => gameOf(row, opener)),
        (game) => game.gameId,
      ),
      revocations: groupRevocations(rows.revocations),
    };
    freshAtMs = startedAtMs;
    opened = opener.opened;
    if (opener.unreadable.length > 0) {
      const names = opener.unreadable.slice(0, 10).join(', ');
      throw new FairtallyError(
        'secret_unreadable',
        `sealed secrets cannot be opened: ${names}; check MASTER_KEY`,
      );
    }
  };

  return {
    key: (keyId) => ring.keys.get(keyId) ?? null,
    game: (gameId) => ring.games.get(gameId) ?? null,
    revocations: (gameId) => ring.revocations.get(gameId) ?? NONE,
    ageMs: () => (freshAtMs === null ? Infinity : clock.monotonicMs() - freshAtMs),
    refresh,
  };
}

const byId = <T>(items: readonly T[], idOf: (item: T) => string): ReadonlyMap<string, T> =>
  new Map(items.map((item) => [idOf(item), item]));

interface Opener {
  open(sealed: string, place: SealedPlace): Buffer | null;
  /** What this refresh opened, so that the next one need not. */
  readonly opened: Map<string, Buffer>;
  readonly unreadable: string[];
}

function openOnce(sealer: Sealer, before: ReadonlyMap<string, Buffer>): Opener {
  const opened = new Map<string, Buffer>();
  const unreadable: string[] = [];
  const open = (sealed: string, place: SealedPlace): Buffer | null => {
    const id = `${place.table}/${place.gameId}/${place.keyId}/${sealed}`;
    try {
      const plain = before.get(id) ?? sealer.open(sealed, place);
      opened.set(id, plain);
      return plain;
    } catch (error) {
      if (!(error instanceof FairtallyError)) throw error;
      unreadable.push(`${place.table} ${place.gameId} ${place.keyId}`);
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
  readonly revocations: readonly RevocationRow[];
}

/** A key that ended is read for one more day, so that its use is told from that of a key nobody ever had. */
const KEYS = `SELECT key_id, game_id, secret, scopes, schemes, trust, debug, not_before, not_after, revoked_at
  FROM signing_keys WHERE least(not_after, revoked_at) IS NULL OR least(not_after, revoked_at) > now() - interval '1 day'
  ORDER BY key_id LIMIT $1`;
const GAMES = `SELECT game_id, dedupe_floor, acceptance_past_days, acceptance_ahead_ms, session_master_id, session_master
  FROM games ORDER BY game_id LIMIT $1`;
const REVOCATIONS = `SELECT game_id, sid, player_id, key_id, issued_before
  FROM session_revocations WHERE expires_at > now() ORDER BY id DESC LIMIT $1`;

const readRows = (database: Database): Promise<Rows> =>
  database.transaction(
    async (sql) => ({
      keys: await readAll<KeyRow>(sql, KEYS, MAX_KEYS, 'signing keys'),
      games: await readAll<GameRow>(sql, GAMES, MAX_GAMES, 'games'),
      revocations: await readAll<RevocationRow>(sql, REVOCATIONS, MAX_REVOCATIONS, 'session revocations'),
    }),
    { isolation: 'repeatable read', readOnly: true },
  );

/** All rows or none: a ring that silently lacks a revocation would let a stolen session in. */
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
  const secret = opener.open(row.secret, { table: 'signing_keys', gameId: row.game_id, keyId: row.key_id });
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
  const sessionMaster = opener.open(row.session_master, place);
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
