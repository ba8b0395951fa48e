import type { Database, Sql } from '../postgres/port.js';
import type { Tally } from './checkpoint.js';

export type ReplayState = 'uploaded' | 'running' | 'done' | 'cancelled' | 'failed';

/** A recording that was uploaded, and how far it was sent. */
export interface ReplayJob {
  readonly jobId: string;
  readonly gameId: string;
  readonly name: string;
  readonly state: ReplayState;
  readonly uploadedAt: Date;
  readonly uploadedBy: string;
  readonly expiresAt: Date;
  readonly startedAt: Date | null;
  readonly startedBy: string | null;
  readonly endedAt: Date | null;
  readonly failure: string | null;
  readonly lines: number;
  readonly idsWithoutDay: number;
  readonly rebaseDays: number;
  /** Events per second at most. */
  readonly rate: number;
  /** Signs this run and no other; null before the first. */
  readonly keyId: string | null;
  /** Who holds it; another with each claim. null: nobody. */
  readonly runner: string | null;
  /** Every line up to it is answered for good. */
  readonly line: number;
  readonly tally: Tally;
  /** To order by and to go on from. */
  readonly uploadedText: string;
}

/** Recordings that one game keeps. */
export const RECORDINGS_MAX = 20;
const PIECE_BYTES = 256 * 1024;

const COLUMNS = `
  job_id AS "jobId", game_id AS "gameId", name, state, uploaded_at AS "uploadedAt", uploaded_by AS "uploadedBy",
  expires_at AS "expiresAt", started_at AS "startedAt", started_by AS "startedBy", ended_at AS "endedAt", failure, lines,
  ids_without_day AS "idsWithoutDay", rebase_days AS "rebaseDays", rate, key_id AS "keyId", runner, line,
  tally,
  uploaded_at::text AS "uploadedText"`;

/** Whoever decides about the replays of a game waits for the one before: there is one running at most, and a bound on all. */
export const lockReplays = (sql: Sql, gameId: string): Promise<unknown> =>
  sql.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`fairtally.replays ${gameId}`]);

export async function countReplays(sql: Sql, gameId: string): Promise<{ kept: number; running: number }> {
  const [row] = await sql.query<{ kept: number; running: number }>(
    `SELECT count(*) AS kept, count(*) FILTER (WHERE state = 'running') AS running FROM replay_jobs WHERE game_id = $1`,
    [gameId],
  );
  return row ?? { kept: 0, running: 0 };
}

export interface NewReplay {
  readonly jobId: string;
  readonly gameId: string;
  readonly name: string;
  readonly by: string;
  readonly lines: number;
  readonly idsWithoutDay: number;
  readonly bytes: Buffer;
}

/** Keeps a recording, in pieces: one statement must not carry all of it. */
export async function insertReplay(sql: Sql, replay: NewReplay): Promise<void> {
  const { jobId, gameId, name, by, lines, idsWithoutDay, bytes } = replay;
  await sql.query(
    `INSERT INTO replay_jobs (job_id, game_id, name, uploaded_by, lines, ids_without_day) VALUES ($1, $2, $3, $4, $5, $6)`,
    [jobId, gameId, name, by, lines, idsWithoutDay],
  );
  for (let start = 0, no = 0; start < bytes.length; start += PIECE_BYTES, no += 1)
    await sql.query('INSERT INTO replay_chunks (game_id, job_id, chunk_no, bytes) VALUES ($1, $2, $3, $4)', [
      gameId,
      jobId,
      no,
      bytes.subarray(start, start + PIECE_BYTES),
    ]);
}

/** The bytes as they were uploaded, piece by piece. */
export async function* readBytes(sql: Sql, jobId: string): AsyncGenerator<Buffer> {
  for (let no = 0; ; no += 1) {
    const [piece] = await sql.query<{ bytes: Buffer }>(
      'SELECT bytes FROM replay_chunks WHERE job_id = $1 AND chunk_no = $2',
      [jobId, no],
    );
    if (piece === undefined) return;
    yield piece.bytes;
  }
}

export async function readReplay(sql: Sql, gameId: string, jobId: string): Promise<ReplayJob | null> {
  const [job] = await sql.query<ReplayJob>(
    `SELECT ${COLUMNS} FROM replay_jobs WHERE game_id = $1 AND job_id = $2`,
    [gameId, jobId],
  );
  return job ?? null;
}

/** Newest first, after a job of the page before. */
export const listReplays = (
  sql: Sql,
  gameId: string,
  {
    before,
    limit,
  }: { readonly before: readonly [uploadedText: string, jobId: string] | null; readonly limit: number },
): Promise<ReplayJob[]> =>
  sql.query<ReplayJob>(
    `SELECT ${COLUMNS} FROM replay_jobs
      WHERE game_id = $1 AND ($2::timestamptz IS NULL OR uploaded_at < $2 OR (uploaded_at = $2 AND job_id > $3))
      ORDER BY uploaded_at DESC, job_id LIMIT $4`,
    [gameId, before?.[0] ?? null, before?.[1] ?? '', limit],
  );

export interface ReplayRun {
  readonly gameId: string;
  readonly jobId: string;
  readonly by: string;
  readonly keyId: string;
  readonly rebaseDays: number;
  readonly rate: number;
}

/** From here on whichever process sends replays takes it up. Call it under `lockReplays`. */
export const markStarted = (
  sql: Sql,
  { gameId, jobId, by, keyId, rebaseDays, rate }: ReplayRun,
): Promise<unknown> =>
  sql.query(
    `UPDATE replay_jobs SET state = 'running', started_at = now(), started_by = $3, ended_at = NULL, failure = NULL,
            key_id = $4, rebase_days = $5, rate = $6, runner = NULL, lease_until = NULL
      WHERE game_id = $1 AND job_id = $2`,
    [gameId, jobId, by, keyId, rebaseDays, rate],
  );

/** Whoever sends it learns of it with its next mark. Its key ends here. Answers whether it was running. */
export async function markCancelled(sql: Sql, gameId: string, jobId: string): Promise<boolean> {
  const rows = await sql.query<{ keyId: string }>(
    `UPDATE replay_jobs SET state = 'cancelled', ended_at = now() WHERE game_id = $1 AND job_id = $2 AND state = 'running'
     RETURNING key_id AS "keyId"`,
    [gameId, jobId],
  );
  await endKey(sql, rows[0]?.keyId ?? null);
  return rows.length > 0;
}

/** The recording goes, and all that is known of it. Answers false while it is running. */
export async function removeReplay(sql: Sql, gameId: string, jobId: string): Promise<boolean> {
  const rows = await sql.query(
    `DELETE FROM replay_jobs WHERE game_id = $1 AND job_id = $2 AND state <> 'running' RETURNING 1`,
    [gameId, jobId],
  );
  return rows.length > 0;
}

/** A key that signed a run has no other use. */
const endKey = (sql: Sql, keyId: string | null): Promise<unknown> =>
  sql.query('UPDATE signing_keys SET revoked_at = coalesce(revoked_at, now()) WHERE key_id = $1', [keyId]);

export interface ReplayProgressRow {
  readonly line: number;
  readonly tally: Tally;
}

/** Running replays as those who send them see them: of all games. */
export interface ReplayQueue {
  /** The one that nobody holds and that waits longest, held from now on; null: there is none. */
  claim(leaseMs: number): Promise<ReplayJob | null>;
  bytes(job: ReplayJob): AsyncIterable<Buffer>;
  /** Writes how far it is and holds it on; false: it is not ours any more, or it was cancelled. */
  save(job: ReplayJob, progress: ReplayProgressRow, leaseMs: number): Promise<boolean>;
  /** Leaves it to whoever comes next; of a cancelled one only how far it came. */
  release(job: ReplayJob, progress: ReplayProgressRow): Promise<void>;
  /** The end, unless it is not ours any more. `failure`: why it failed; null: it is done. */
  end(job: ReplayJob, progress: ReplayProgressRow, failure: string | null): Promise<void>;
  /** Recordings whose time is over go. */
  forget(): Promise<void>;
}

const OURS = 'job_id = $1 AND runner = $2';

/**
 * Each claim has a runner of its own: a job that was cancelled and started again, or whose lease ran out, may be held by the
 * same process a second time, and what is left of the first run must not speak for the second.
 *
 * @param process names this process among those that send replays
 */
export function createReplayQueue(db: Database, process: string): ReplayQueue {
  let claims = 0;
  return queueOf(db, () => `${process}.${String((claims += 1))}`);
}

const queueOf = (db: Database, newRunner: () => string): ReplayQueue => ({
  async claim(leaseMs) {
    const [job] = await db.query<ReplayJob>(
      `UPDATE replay_jobs SET runner = $1, lease_until = now() + $2 * interval '1 millisecond'
        WHERE job_id = (SELECT job_id FROM replay_jobs WHERE state = 'running' AND (lease_until IS NULL OR lease_until < now())
                         ORDER BY started_at LIMIT 1 FOR UPDATE SKIP LOCKED)
       RETURNING ${COLUMNS}`,
      [newRunner(), leaseMs],
    );
    return job ?? null;
  },
  bytes: ({ jobId }) => readBytes(db, jobId),
  async save({ jobId, runner }, { line, tally }, leaseMs) {
    const rows = await db.query(
      `UPDATE replay_jobs SET line = $3, tally = $4, lease_until = now() + $5 * interval '1 millisecond'
        WHERE ${OURS} AND state = 'running' RETURNING 1`,
      [jobId, runner, line, JSON.stringify(tally), leaseMs],
    );
    return rows.length > 0;
  },
  async release({ jobId, runner }, { line, tally }) {
    await db.query(
      `UPDATE replay_jobs SET line = $3, tally = $4, runner = NULL, lease_until = NULL
        WHERE ${OURS} AND state IN ('running', 'cancelled')`,
      [jobId, runner, line, JSON.stringify(tally)],
    );
  },
  end: ({ jobId, keyId, runner }, { line, tally }, failure) =>
    db.transaction(async (sql) => {
      const ended = await sql.query(
        `UPDATE replay_jobs SET state = $5, failure = $6, ended_at = now(), line = $3, tally = $4, runner = NULL, lease_until = NULL
          WHERE ${OURS} AND state = 'running' RETURNING 1`,
        [jobId, runner, line, JSON.stringify(tally), failure === null ? 'done' : 'failed', failure],
      );
      if (ended.length > 0) await endKey(sql, keyId);
    }),
  async forget() {
    await db.query(`DELETE FROM replay_jobs WHERE expires_at < now() AND state <> 'running'`);
  },
});
