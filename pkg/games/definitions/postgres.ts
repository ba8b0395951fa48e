import { FairtallyError } from '../../kernel/errors.js';
import type { Database, Sql } from '../../postgres/port.js';
import { hashOfDefinition, proveDefinition, readProvenDefinition } from '../definition-file.js';
import type { ReadDefinition } from '../definition-file.js';
import type { DefinitionSource, GameDefinition } from '../port.js';
import { planDefinition } from './plan.js';
import type { DefinitionPlan } from './plan.js';

export interface NewDefinition {
  readonly gameId: string;
  /** The YAML. */
  readonly source: string;
  /** Named in faults. */
  readonly fileName?: string;
}

export interface PlannedDefinition extends NewDefinition {
  /** From when on it is to hold. */
  readonly effectiveFromMs: number;
}

export interface Application extends PlannedDefinition {
  /** Who applies it. */
  readonly by: string;
}

export interface DefinitionVersion {
  readonly version: number;
  readonly effectiveFromMs: number;
  /** Hex. */
  readonly sourceSha256: string;
  readonly appliedBy: string;
  readonly appliedAtMs: number;
}

/** A version and from when on it is in force. */
export interface VersionInstant {
  readonly version: number;
  readonly effectiveFromMs: number;
}

export interface VersionPlan extends DefinitionPlan {
  /** The version that changes are shown against: in force at the instant from which the new one holds; null: none is. */
  readonly against: VersionInstant | null;
  /** Versions still to come after that instant, soonest first: the new one overrules them, so they never hold. */
  readonly overruled: readonly VersionInstant[];
}

/** The versions of each game's definition. A version never changes; the newest one whose instant has come is in force. */
export interface DefinitionStore {
  /**
   * What applying would do, without doing it.
   *
   * @throws DefinitionError for a wrong document
   */
  plan(next: PlannedDefinition): Promise<VersionPlan>;
  /**
   * Gives the next version, in force from its instant on (and whatever was to come later is not).
   *
   * @throws DefinitionError for a wrong document
   * @throws FairtallyError `game_unknown`; `definition_unchanged` when the version in force at that instant is the same and
   * none to come would be overruled; `definition_incompatible` when a board or metric would mix what is stored under its name
   */
  apply(next: Application): Promise<{ readonly version: number; readonly plan: VersionPlan }>;
  /** Newest first, at most 200. */
  list(gameId: string): Promise<readonly DefinitionVersion[]>;
  /** The YAML of a version as applied; null when there is none. */
  source(gameId: string, version: number): Promise<string | null>;
}

/** Versions that a plan compares with, and that a list shows. */
const MAX_HISTORY = 200;

export function createDefinitionStore(database: Database): DefinitionStore {
  return {
    plan: async (next) => {
      const read = await proven(next);
      return planWith(database, await historyOf(database, next.gameId), read, next);
    },
    async apply(next) {
      // Before the game is locked: whoever waits for it does not wait for the reading.
      const read = await proven(next);
      return database.transaction((sql) => apply(sql, read, next));
    },
    async list(gameId) {
      const rows = await database.query<VersionRow>(
        `SELECT version, effective_from, source_sha256, applied_by, applied_at
           FROM game_definitions WHERE game_id = $1 ORDER BY version DESC LIMIT $2`,
        [gameId, MAX_HISTORY],
      );
      return rows.map((row) => ({
        version: row.version,
        effectiveFromMs: row.effective_from.getTime(),
        sourceSha256: row.source_sha256.toString('hex'),
        appliedBy: row.applied_by,
        appliedAtMs: row.applied_at.getTime(),
      }));
    },
    source: async (gameId, version) => (await sourceOf(database, gameId, version)) ?? null,
  };
}

interface VersionRow {
  readonly version: number;
  readonly effective_from: Date;
  readonly source_sha256: Buffer;
  readonly applied_by: string;
  readonly applied_at: Date;
}

interface StoredVersion {
  readonly version: number;
  readonly effective_from: Date;
  readonly source_sha256: Buffer;
}

const historyOf = (sql: Sql, gameId: string): Promise<StoredVersion[]> =>
  sql.query<StoredVersion>(
    `SELECT version, effective_from, source_sha256 FROM game_definitions WHERE game_id = $1 ORDER BY version DESC LIMIT $2`,
    [gameId, MAX_HISTORY],
  );

/** A document that is to become a version, and has no number yet. */
const proven = ({ gameId, source, fileName }: NewDefinition): Promise<ReadDefinition> =>
  proveDefinition(source, { gameId, version: 0, ...(fileName === undefined ? {} : { fileName }) });

async function planWith(
  sql: Sql,
  stored: readonly StoredVersion[],
  read: ReadDefinition,
  { gameId, effectiveFromMs }: PlannedDefinition,
): Promise<VersionPlan> {
  const against = inForceAt(stored, effectiveFromMs);
  const inForce = against === undefined ? null : await loadVersion(sql, gameId, against.version);
  const history = await versionsWith(sql, read, stored, inForce);
  return {
    ...planDefinition(history, read, inForce),
    against: against === undefined ? null : instantOf(against),
    overruled: overruledBy(stored, effectiveFromMs),
  };
}

/**
 * Of versions newest first, those in which the boards and metrics of a definition had their names last. Reading a long
 * document takes a part of a second, and a game has hundreds: most of the time the newest knows all of the names, and one
 * that has not a name in its text, nor an escape that could stand for it, is not read. Each is asked for when it is its turn:
 * so a transaction that this happens in is never idle for long.
 */
async function versionsWith(
  sql: Sql,
  definition: ReadDefinition,
  stored: readonly StoredVersion[],
  inForce: ReadDefinition | null,
): Promise<ReadDefinition[]> {
  const { gameId } = definition;
  const boards = new Set(definition.boards.keys());
  const metrics = new Set(definition.fairness.map(({ name }) => name));
  const found: ReadDefinition[] = [];
  const oldest = stored.at(-1)?.version ?? 0;
  let before = (stored[0]?.version ?? 0) + 1;
  while (boards.size + metrics.size > 0) {
    const row = await newestWith(sql, gameId, [...boards, ...metrics], { before, oldest });
    if (row === undefined) break;
    const earlier = row.version === inForce?.version ? inForce : await readStored(gameId, row);
    found.push(earlier);
    for (const name of earlier.boards.keys()) boards.delete(name);
    for (const { name } of earlier.fairness) metrics.delete(name);
    before = row.version;
  }
  return found;
}

interface StoredSource {
  readonly version: number;
  readonly source: string;
}

/** The newest version before another in whose text one of the names stands, or could. */
async function newestWith(
  sql: Sql,
  gameId: string,
  names: readonly string[],
  { before, oldest }: { readonly before: number; readonly oldest: number },
): Promise<StoredSource | undefined> {
  const [row] = await sql.query<StoredSource>(
    `SELECT version, source FROM game_definitions
      WHERE game_id = $1 AND version < $2 AND version >= $3
        AND EXISTS (SELECT 1 FROM unnest($4::text[]) AS part (text) WHERE strpos(source, part.text) > 0)
      ORDER BY version DESC LIMIT 1`,
    [gameId, before, oldest, ['\\', ...names]],
  );
  return row;
}

/** Of versions newest first: in force is the newest one whose instant has come. */
const inForceAt = (stored: readonly StoredVersion[], atMs: number): StoredVersion | undefined =>
  stored.find((row) => row.effective_from.getTime() <= atMs);

/** Versions that would come into force after an instant, soonest first; those overruled already are none of them. */
const overruledBy = (stored: readonly StoredVersion[], fromMs: number): VersionInstant[] =>
  stored
    .filter((row) => row.effective_from.getTime() > fromMs)
    .filter((row) => inForceAt(stored, row.effective_from.getTime()) === row)
    .map(instantOf)
    .sort((a, b) => a.effectiveFromMs - b.effectiveFromMs);

const instantOf = (row: StoredVersion): VersionInstant => ({
  version: row.version,
  effectiveFromMs: row.effective_from.getTime(),
});

async function apply(
  sql: Sql,
  read: ReadDefinition,
  next: Application,
): Promise<{ version: number; plan: VersionPlan }> {
  // The lock puts versions of a game in commit order: a reader that knows version n has missed none below it.
  const games = await sql.query('SELECT 1 FROM games WHERE game_id = $1 FOR UPDATE', [next.gameId]);
  if (games.length === 0)
    throw new FairtallyError('game_unknown', `there is no game "${next.gameId}"; create it first`);
  const stored = await historyOf(sql, next.gameId);
  const plan = await planWith(sql, stored, read, next);
  const holding = inForceAt(stored, next.effectiveFromMs);
  const hash = hashOfDefinition(next.source);
  if (holding?.source_sha256.equals(hash) === true && plan.overruled.length === 0) {
    const message = `version ${String(holding.version)} of ${next.gameId} is the same document; nothing to apply`;
    throw new FairtallyError('definition_unchanged', message);
  }
  if (plan.refusals.length > 0) throw new FairtallyError('definition_incompatible', plan.refusals.join('\n'));
  const version = (stored[0]?.version ?? 0) + 1;
  await sql.query(
    `INSERT INTO game_definitions (game_id, version, effective_from, source, source_sha256, applied_by)
     VALUES ($1, $2, $3, $4, $5, $6)`,
    [next.gameId, version, new Date(next.effectiveFromMs), next.source, hash, next.by],
  );
  return { version, plan };
}

async function sourceOf(sql: Sql, gameId: string, version: number): Promise<string | undefined> {
  const rows = await sql.query<{ source: string }>(
    'SELECT source FROM game_definitions WHERE game_id = $1 AND version = $2',
    [gameId, version],
  );
  return rows[0]?.source;
}

export interface RefreshingDefinitions extends DefinitionSource {
  /** Learns of new versions: one small query. Run it every second or so (refresh-loop.ts). */
  refresh(): Promise<void>;
}

const MAX_CACHED = 256;
const HEADS_PAGE = 1000;

/** Versions never change, so only what is new is ever read. */
export function createDefinitionSource(database: Database): RefreshingDefinitions {
  const headsOf = new Map<string, VersionInstant[]>();
  const cached = new Map<string, Promise<GameDefinition>>();
  let first: Promise<void> | null = null;

  const version = (gameId: string, wanted: number): Promise<GameDefinition> => {
    const id = `${gameId}#${String(wanted)}`;
    const known = cached.get(id);
    if (known !== undefined) return known;
    const loading = loadVersion(database, gameId, wanted);
    const oldest = cached.keys().next();
    if (cached.size >= MAX_CACHED && oldest.done !== true) cached.delete(oldest.value);
    cached.set(id, loading);
    loading.catch(() => {
      if (cached.get(id) === loading) cached.delete(id);
    });
    return loading;
  };

  const refresh = async (): Promise<void> => {
    for (let full = true; full;) {
      const known = [...headsOf].map(([gameId, heads]) => ({ gameId, version: heads.at(-1)?.version ?? 0 }));
      const rows = await newHeads(database, known);
      for (const { game_id: gameId, version: number, effective_from: from } of rows) {
        const heads = headsOf.get(gameId) ?? [];
        // Two refreshes at once may read the same row.
        if (number <= (heads.at(-1)?.version ?? 0)) continue;
        heads.push({ version: number, effectiveFromMs: from.getTime() });
        headsOf.set(gameId, heads);
      }
      full = rows.length === HEADS_PAGE;
    }
  };

  const firstRefresh = (): Promise<void> => {
    first ??= refresh().catch((error: unknown) => {
      first = null;
      throw error;
    });
    return first;
  };

  return {
    async inForce(gameId, nowMs) {
      if (!headsOf.has(gameId)) await firstRefresh();
      const head = headsOf.get(gameId)?.findLast(({ effectiveFromMs }) => effectiveFromMs <= nowMs);
      return head === undefined ? null : version(gameId, head.version);
    },
    version,
    refresh,
  };
}

const newHeads = (
  sql: Sql,
  known: readonly { gameId: string; version: number }[],
): Promise<{ game_id: string; version: number; effective_from: Date }[]> =>
  sql.query(
    `SELECT d.game_id, d.version, d.effective_from
       FROM game_definitions d LEFT JOIN unnest($1::text[], $2::int[]) AS known (game_id, version) ON known.game_id = d.game_id
      WHERE d.version > coalesce(known.version, 0) ORDER BY d.game_id, d.version LIMIT $3`,
    [known.map(({ gameId }) => gameId), known.map(({ version }) => version), HEADS_PAGE],
  );

async function loadVersion(sql: Sql, gameId: string, version: number): Promise<ReadDefinition> {
  const source = await sourceOf(sql, gameId, version);
  if (source === undefined) {
    throw new FairtallyError(
      'definition_unknown',
      `game "${gameId}" has no definition version ${String(version)}`,
    );
  }
  return readStored(gameId, { version, source });
}

const readStored = (gameId: string, { version, source }: StoredSource): Promise<ReadDefinition> =>
  readProvenDefinition(source, {
    gameId,
    version,
    fileName: `${gameId} version ${String(version)} (stored)`,
  });
