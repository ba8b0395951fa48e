import { createReceiptSigner } from '../../progression/receipt-signer.js';
import { receiptIdOf } from '../../progression/receipts.js';
import type { RefreshingDefinitions } from '../../games/definitions/postgres.js';
import type { ReceiptKeyStore } from '../../games/receipt-keys/postgres.js';
import type { Sql } from '../../postgres/port.js';
import { commitBatch } from '../../leaderboard/fixtures.js';
import type { BoardView } from '../../leaderboard/view.js';
import { sampleSource } from '../../admin/resources/fixtures.js';
import type { AdminServer, Answered, SignedInTester } from '../admin-server.js';
import { roleEvent } from '../admitted-event.js';

/** What stands in a game and in no other: its name, which every text of its data holds, a number, and a code. */
export interface Marks {
  readonly gameId: string;
  /** Of eight digits: what its players scored, gained and sent. */
  readonly number: number;
  readonly code: string;
}

/** Where the things of a game can be found. */
export interface Things extends Marks {
  readonly playerId: string;
  readonly board: string;
  readonly partition: string;
  readonly version: number;
  /** A definition that differs from the one in force. */
  readonly nextSource: string;
  readonly keyId: string;
  readonly otherKeyId: string;
  readonly member: SignedInTester;
  readonly leaver: SignedInTester;
  readonly forgetful: SignedInTester;
  readonly findingId: number;
  readonly caseId: number;
  readonly receiptId: string;
  readonly jws: string;
  readonly letterId: number;
  readonly otherLetterId: number;
  readonly actionId: number;
  readonly jobId: string;
  readonly otherJobId: string;
  readonly auditHash: string;
}

/** A player of this name is in each game, and on the same boards. */
export const NAMESAKE = 'namesake';

export interface SeedParts {
  readonly server: Pick<AdminServer, 'db' | 'addGame' | 'signIn' | 'url'>;
  readonly definitions: RefreshingDefinitions;
  readonly receiptKeys: ReceiptKeyStore;
  readonly view: BoardView;
  /** Admin of all that is made. */
  readonly maker: SignedInTester;
}

const DAY_MS = 86_400_000;

/** The marks as they would stand in an answer. */
export const marksIn = ({ gameId, number, code }: Marks): readonly string[] => [gameId, String(number), code];

const sourceOf = (gameId: string, graceHours: number): string =>
  sampleSource((yaml) =>
    yaml
      .replace('grace: 24h', `grace: ${String(graceHours)}h`)
      .replace(
        'boards:\n',
        `boards:\n  ${gameId}:\n    event: progression\n    aggregate: best\n    value: deltaXp\n    windows: [daily, all-time]\n\n`,
      ),
  );

/** Gives a game two of everything that a list can show, as gateway, workers and people would. */
export async function seedGame(marks: Marks, parts: SeedParts): Promise<Things> {
  const { gameId } = marks;
  const { server, maker } = parts;
  const ask = async (path: string, body: unknown): Promise<Answered> => {
    const answer = await maker.ask('POST', `/admin/v1/games/${gameId}${path}`, body);
    if (answer.status >= 300) throw new Error(`${path}: ${answer.text}`);
    return answer;
  };
  await server.addGame(gameId);
  await server.db.query("INSERT INTO admin_memberships VALUES ($1, $2, 'admin')", [gameId, maker.userId]);
  const people = await Promise.all(
    ['member', 'leaver', 'forgetful'].map((name) =>
      server.signIn(`${name}-${gameId}`, { [gameId]: 'analyst' }),
    ),
  );
  const [member, leaver, forgetful] = people as [SignedInTester, SignedInTester, SignedInTester];
  const version = marks.gameId.endsWith('two') ? 3 : 1;
  for (let made = 1; made <= version; made += 1)
    await ask('/definitions', { source: sourceOf(gameId, 25 - made) });
  await parts.definitions.refresh();

  const players = [`p-${gameId}`, NAMESAKE, `hidden-${gameId}`];
  await play(marks, players, parts);
  for (const playerId of players) await seedPlayer(server.db, marks, playerId, version);
  const [keyId, otherKeyId] = [`key-${gameId}-a`, `key-${gameId}-b`];
  for (const one of [keyId, otherKeyId]) await ask('/keys', { keyId: one, scopes: ['ingest'] });
  await seedGameWide(server.db, marks, keyId);
  const receipts = await seedReceipts(marks, players, parts);
  const letters = await seedLetters(server.db, marks, 4);
  const [finding] = await server.db.query<{ findingId: number; caseId: number }>(
    `SELECT f.finding_id AS "findingId", c.case_id AS "caseId"
       FROM suspicious_events f JOIN cases c USING (game_id, player_id, metric) WHERE game_id = $1 ORDER BY 1 LIMIT 1`,
    [gameId],
  );
  if (finding === undefined) throw new Error('no finding');
  await ask(`/cases/${String(finding.caseId)}/notes`, { text: `note of ${gameId}` });
  const redrive = { dryRun: false, reason: `again ${gameId}`, select: { letterIds: [letters[0]] } };
  const { actionId } = (await ask('/dead-letters/redrive', redrive)).body as { actionId: number };
  await ask(`/players/${players[2] ?? ''}/hide`, { reason: `because ${gameId}` });
  const jobs = [];
  for (const name of [`first-${gameId}`, `second-${gameId}`])
    jobs.push(await uploadRecording(marks, name, parts));
  const [audit] = await server.db.query<{ hash: string }>(
    `SELECT encode(hash, 'hex') AS hash FROM admin_audit WHERE game_id = $1 AND seq = 1`,
    [gameId],
  );
  return {
    ...marks,
    playerId: players[0] ?? '',
    board: gameId,
    partition: bossOf(marks),
    version,
    nextSource: sourceOf(gameId, 1),
    keyId,
    otherKeyId,
    member,
    leaver,
    forgetful,
    ...finding,
    ...receipts,
    letterId: letters[1] ?? 0,
    otherLetterId: letters[2] ?? 0,
    actionId,
    jobId: jobs[0] ?? '',
    otherJobId: jobs[1] ?? '',
    auditHash: audit?.hash ?? '',
  };
}

/** In no other game; without a mark, for answers about a partition repeat its name. */
const bossOf = ({ code }: Marks): string => `boss-${code.slice(-3)}`;

/** Scores of today and yesterday, in two partitions, as the leaderboard role commits them; the view follows. */
async function play(
  marks: Marks,
  players: readonly string[],
  { server, definitions, view }: Pick<SeedParts, 'server' | 'definitions' | 'view'>,
): Promise<void> {
  const { gameId, number } = marks;
  const definition = await definitions.inForce(gameId, Date.now());
  if (definition === null) throw new Error('no definition');
  const events = players.flatMap((playerId) =>
    [0, 1].flatMap((daysAgo) => {
      const common = { playerId, tsMs: Date.now() - daysAgo * DAY_MS };
      const id = `${gameId}-${playerId}-${String(daysAgo)}`;
      return [
        roleEvent(definition, { ...common, id: `${id}-x`, payload: { deltaXp: number - daysAgo } }),
        roleEvent(definition, {
          ...common,
          id: `${id}-b`,
          type: 'boss_kill',
          payload: { bossId: daysAgo === 0 ? bossOf(marks) : 'hydra', durationMs: number },
        }),
      ];
    }),
  );
  await commitBatch(server.db, events);
  await view.refresh(events);
  await view.check();
}

async function seedPlayer(
  sql: Sql,
  { gameId, number }: Marks,
  playerId: string,
  version: number,
): Promise<void> {
  const nowMs = Date.now();
  await sql.query('INSERT INTO player_profiles VALUES ($1, $2, $3, $3, $4)', [
    gameId,
    playerId,
    nowMs,
    number,
  ]);
  await sql.query('INSERT INTO player_progress VALUES ($1, $2, $3, 7, $4, 1, $5)', [
    gameId,
    playerId,
    number,
    version,
    nowMs,
  ]);
  await sql.query(
    `INSERT INTO progress_events SELECT $1, $2, $3::bigint - n, current_date, gen_random_uuid(), $4, 1 FROM generate_series(1, 2) n`,
    [gameId, playerId, nowMs, number],
  );
  await sql.query(
    `INSERT INTO fairness_samples SELECT $1, $2, 'xp-gain', '', n, current_date, gen_random_uuid(), $3, 1 FROM generate_series(1, 5) n`,
    [gameId, playerId, number],
  );
  for (const [index, metric] of ['xp-gain', 'drop-interval'].entries())
    await addFinding(sql, { gameId, playerId, metric, eventId: `${gameId}-f${String(index)}`, number });
}

/** A finding, and so a case. */
export async function addFinding(
  sql: Sql,
  finding: {
    readonly gameId: string;
    readonly playerId: string;
    readonly metric: string;
    readonly eventId: string;
    readonly number: number;
  },
): Promise<void> {
  await sql.query(
    `INSERT INTO suspicious_events (game_id, player_id, metric, partition, dedupe_day, identity, event_id, ts_ms, value, judged,
                                    mean, deviation, z, sample_no, definition_version)
     VALUES ($1, $2, $3, '', current_date, gen_random_uuid(), $4, $5, $6, 1, 1, 1, 9, 3, 1)`,
    [finding.gameId, finding.playerId, finding.metric, finding.eventId, Date.now(), finding.number],
  );
}

/** What the archive, the gateways and the counts by minute have of a game. */
async function seedGameWide(sql: Sql, { gameId, number, code }: Marks, keyId: string): Promise<void> {
  await sql.query('SELECT ensure_month(current_date)');
  await sql.query(
    `WITH event AS (
       INSERT INTO events (dedupe_day, identity, game_id, player_id, event_id, type, ts_ms, received_at_ms, src, key_id,
                           definition_version, content_hash, payload)
       SELECT current_date, gen_random_uuid(), $1, 'p-' || $1, $1 || n, 'progression', $2, $2, 'server', $3, 1, '\\x00',
              jsonb_build_object('text', $1::text) FROM generate_series(1, 2) n
       RETURNING dedupe_day, identity)
     INSERT INTO inbox SELECT 'archive', dedupe_day, identity, $1, 1, '\\x00', 1 FROM event`,
    [gameId, Date.now(), keyId],
  );
  await sql.query(
    `INSERT INTO refusals (game_id, refused_at, is_verified, key_id, player_id, event_id, build, code, detail, snippet)
     VALUES ($1, now(), true, $2, 'p-' || $1, $1, $1, $3, $1, $1)`,
    [gameId, keyId, code],
  );
  await sql.query(`INSERT INTO refusal_minutes VALUES ($1, date_trunc('minute', now()), $2, $1, 3)`, [
    gameId,
    code,
  ]);
  await sql.query(
    `INSERT INTO pipeline_minutes VALUES ($1, date_trunc('minute', now()) - interval '10 minutes', $2, 1)`,
    [gameId, number],
  );
  await sql.query('INSERT INTO key_uses VALUES ($1, $2, $3)', [gameId, keyId, Date.now()]);
}

/** Two receipts of each player, those of the second one revoked; the first one is told. */
async function seedReceipts(
  { gameId, number }: Marks,
  players: readonly string[],
  { server, receiptKeys }: Pick<SeedParts, 'server' | 'receiptKeys'>,
): Promise<{ readonly receiptId: string; readonly jws: string }> {
  const signer = createReceiptSigner({ issuer: 'fairtally', keys: receiptKeys });
  const made = [];
  for (const [index, sub] of players.entries())
    for (const cause of [`drop:${gameId}-1`, `drop:${gameId}-2`]) {
      const jti = receiptIdOf(gameId, sub, cause);
      const grant = { sub, jti, iat: 1, reward: gameId, amount: number, cause, src: 'server' } as const;
      const { kid, jws } = await signer.sign(gameId, grant);
      await server.db.query(
        `INSERT INTO receipts (game_id, player_id, grant_key, receipt_id, reward, amount, cause, ts_ms, event_id, src, kid, jws,
                               definition_version, revoked_at, revoked_by, revoked_reason)
         VALUES ($1, $2, $3, $4, $1, $5, $3, 1000, $1, 'server', $6, $7, 1, CASE WHEN $8 THEN now() END, 'x', 'x')`,
        [gameId, sub, cause, jti, number, kid, jws, index === 1],
      );
      made.push({ receiptId: jti, jws });
    }
  const [first] = made;
  if (first === undefined) throw new Error('no receipt');
  return first;
}

async function seedLetters(sql: Sql, { gameId, code }: Marks, count: number): Promise<number[]> {
  const rows = await sql.query<{ id: number }>(
    `INSERT INTO dead_letters (role, game_id, player_id, event_id, event_type, dedupe_day, identity, content_hash,
                               transport_position, reason, detail, attempts, body, headers, code_version)
     SELECT 'progression', $1, 'p-' || $1, $1 || n, 'progression', current_date, gen_random_uuid(), '\\x00', $1 || n, $2, $1, 3,
            jsonb_build_object('text', $1::text)::text, jsonb_build_object('text', $1::text), '0.1.0'
       FROM generate_series(1, $3::int) n RETURNING id`,
    [gameId, code, count],
  );
  return rows.map(({ id }) => id);
}

async function uploadRecording(
  { gameId }: Marks,
  name: string,
  { server, maker }: SeedParts,
): Promise<string> {
  const event = { id: `${gameId}-${name}`, type: 'progression', playerId: `p-${gameId}`, ts: Date.now() };
  const response = await fetch(
    `${server.url}/admin/v1/games/${gameId}/replays?name=${encodeURIComponent(name)}`,
    {
      method: 'POST',
      headers: {
        'X-Fairtally-Request': '1',
        'Content-Type': 'application/x-ndjson',
        Authorization: `Bearer ${maker.accessToken}`,
      },
      body: JSON.stringify({ ...event, payload: { deltaXp: 1, activity: gameId } }),
    },
  );
  return ((await response.json()) as { jobId: string }).jobId;
}
