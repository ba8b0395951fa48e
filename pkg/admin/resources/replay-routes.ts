import { isInstantText, pageOf, readCursor } from '../../contract/keyset-page.js';
import { sentOf } from '../../http/body.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { DefinitionSource } from '../../games/port.js';
import type { createLineJudge } from '../../ingest/judge-line.js';
import type { Clock } from '../../kernel/clock.js';
import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import type { Tally } from '../../replay/checkpoint.js';
import type { forecast, Forecast } from '../../replay/forecast.js';
import type {
  countReplays,
  insertReplay,
  listReplays,
  lockReplays,
  markCancelled,
  markStarted,
  readBytes,
  readReplay,
  removeReplay,
  ReplayJob,
} from '../../replay/jobs.postgres.js';
import type { countLines, readPieces, survey } from '../../replay/recording.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import { found, instantOf, instantOrNull, pageAnswer, pageRequest, type Schemas } from './answers.js';
import type { KeyParts } from './key-routes.js';
import { archivedContents, gameWindow } from './replays.postgres.js';

export interface ReplayParts extends Pick<KeyParts, 'keys'> {
  readonly replays: {
    readonly insert: typeof insertReplay;
    readonly list: typeof listReplays;
    readonly read: typeof readReplay;
    readonly bytes: typeof readBytes;
    readonly count: typeof countReplays;
    readonly lock: typeof lockReplays;
    readonly markStarted: typeof markStarted;
    readonly markCancelled: typeof markCancelled;
    readonly remove: typeof removeReplay;
    readonly countLines: typeof countLines;
    readonly lines: typeof readPieces;
    readonly survey: typeof survey;
    readonly forecast: typeof forecast;
    readonly judgeOf: typeof createLineJudge;
    /** Recordings that one game keeps. */
    readonly keptMax: number;
  };
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly random: Pick<Random, 'bytes'>;
}

type ReplayOperation =
  | 'uploadReplay'
  | 'dryRunReplay'
  | 'startReplay'
  | 'getReplay'
  | 'listReplays'
  | 'cancelReplay'
  | 'deleteReplay';

/** Empty ones too: each costs its reading. */
const LINES_MAX = 100_000;
const RATE = 500;
const NDJSON = /^application\/x-ndjson *(; *charset *= *"?utf-8"? *)?$/i;

/** Recordings, and their way through the front door. */
export const replayRoutes = (parts: ReplayParts): Pick<GameRoutes, ReplayOperation> => ({
  listReplays: async ({ gameId, query: { limit, cursor }, read }) => {
    const page = pageRequest({ ...(limit && { limit }), ...(cursor && { cursor }) });
    const before = readCursor(page.cursor, [isInstantText, isJobId]);
    const rows = await read((sql) => parts.replays.list(sql, gameId, { before, limit: page.limit + 1 }));
    const keyOf = ({ uploadedText, jobId }: ReplayJob): [string, string] => [uploadedText, jobId];
    return { status: 200, body: pageAnswer(pageOf(rows, page.limit, keyOf, answerOf), (item) => item) };
  },
  getReplay: async ({ gameId, path: { jobId }, read }) => ({
    status: 200,
    body: answerOf(found(await read((sql) => parts.replays.read(sql, gameId, jobId)))),
  }),
  uploadReplay: async (call) => ({ status: 201, body: await upload(call, parts) }),
  dryRunReplay: async (call) => ({ status: 200, body: await dryRun(call, parts) }),
  startReplay: async (call) => ({ status: 202, body: await start(call, parts) }),
  cancelReplay: async ({ gameId, path: { jobId }, change }) => ({
    status: 200,
    body: await change(async ({ sql, audit }) => {
      await parts.replays.lock(sql, gameId);
      found(await parts.replays.read(sql, gameId, jobId));
      if (!(await parts.replays.markCancelled(sql, gameId, jobId)))
        throw new RequestProblem('replay_not_running');
      audit({ action: 'replay.cancel', subject: `replay ${jobId}` });
      return answerOf(found(await parts.replays.read(sql, gameId, jobId)));
    }),
  }),
  deleteReplay: async ({ gameId, path: { jobId }, change }) => {
    await change(async ({ sql, audit }) => {
      await parts.replays.lock(sql, gameId);
      const { name, state } = found(await parts.replays.read(sql, gameId, jobId));
      if (!(await parts.replays.remove(sql, gameId, jobId))) throw new RequestProblem('replay_running');
      audit({ action: 'replay.delete', subject: `replay ${jobId}`, details: { name, state } });
    });
    return { status: 204 };
  },
});

const isJobId = (text: string): boolean => /^[A-Za-z0-9_-]{22}$/.test(text);

async function upload(
  { gameId, query: { name }, request, person, change }: GameCall<'uploadReplay'>,
  { replays, random }: ReplayParts,
): Promise<Schemas['Replay']> {
  if (!NDJSON.test(request.headers['content-type'] ?? '')) throw new RequestProblem('unsupported_media_type');
  const { bytes } = sentOf(request);
  if (replays.countLines(bytes, LINES_MAX) > LINES_MAX) throw new RequestProblem('recording_too_long');
  const { lastLine, idsWithoutDay } = await replays.survey(replays.lines([bytes], 0));
  if (lastLine === 0) throw new RequestProblem('empty_body');
  const jobId = random.bytes(16).toString('base64url');
  return change(async ({ sql, audit }) => {
    await replays.lock(sql, gameId);
    if ((await replays.count(sql, gameId)).kept >= replays.keptMax)
      throw new RequestProblem('recordings_full');
    const by = person.username;
    await replays.insert(sql, { jobId, gameId, name, by, lines: lastLine, idsWithoutDay, bytes });
    const details = { name, lines: lastLine, bytes: bytes.length };
    audit({ action: 'replay.upload', subject: `replay ${jobId}`, details });
    return answerOf(found(await replays.read(sql, gameId, jobId)));
  });
}

async function start(
  { gameId, path: { jobId }, body, person, change }: GameCall<'startReplay'>,
  { keys, replays, clock }: ReplayParts,
): Promise<Schemas['Replay']> {
  const { reason, rebaseDays = 0, eventsPerSecond: rate = RATE } = body;
  return change(async ({ sql, audit }) => {
    await replays.lock(sql, gameId);
    const job = found(await replays.read(sql, gameId, jobId));
    if (job.state === 'done') throw new RequestProblem('replay_done');
    if ((await replays.count(sql, gameId)).running > 0) throw new RequestProblem('replay_running');
    if (job.startedAt !== null && job.rebaseDays !== rebaseDays) throw new RequestProblem('replay_moved');
    if (rebaseDays > 0 && job.idsWithoutDay > 0) throw new RequestProblem('replay_ids_without_day');
    // A key of its own: it ends with the run, and what it sent can be told from all else.
    const { keyId } = await keys(sql).create({
      gameId,
      isForReplay: true,
      scopes: ['ingest', 'replay'],
      notBeforeMs: clock.now() - CLOCKS_APART_MS,
    });
    await replays.markStarted(sql, { gameId, jobId, by: person.username, keyId, rebaseDays, rate });
    const details = { name: job.name, fromLine: job.line, rebaseDays, eventsPerSecond: rate, keyId };
    audit({ action: 'replay.start', subject: `replay ${jobId}`, reason, details });
    return answerOf(found(await replays.read(sql, gameId, jobId)));
  });
}

/** The clock of a gateway may be behind ours: the key is good there too. */
const CLOCKS_APART_MS = 60_000;

const dryRun = (
  { gameId, path: { jobId }, query, read }: GameCall<'dryRunReplay'>,
  { replays, definitions, clock }: ReplayParts,
): Promise<Schemas['ReplayForecast']> =>
  read(async (sql) => {
    const job = found(await replays.read(sql, gameId, jobId));
    const { rebaseDays = job.startedAt === null ? 0 : job.rebaseDays } = query;
    if (rebaseDays > 0 && job.idsWithoutDay > 0) throw new RequestProblem('replay_ids_without_day');
    const game = found(await gameWindow(sql, gameId));
    const nowMs = clock.now();
    const definition = await definitions.inForce(gameId, nowMs);
    if (definition === null) throw new RequestProblem('definition_unavailable');
    const lines = replays.lines(replays.bytes(sql, jobId), rebaseDays);
    const expected = await replays.forecast(lines, {
      judge: replays.judgeOf({ game, definition, nowMs }),
      known: (events) => archived(sql, gameId, events),
    });
    return forecastAnswer(expected, job);
  });

const archived = (
  sql: Sql,
  gameId: string,
  events: Parameters<typeof archivedContents>[2],
): Promise<ReadonlyMap<string, string>> =>
  events.length === 0 ? Promise.resolve(new Map()) : archivedContents(sql, gameId, events);

function forecastAnswer(
  { tally, malformed, players, firstMs, lastMs, byType }: Forecast,
  { idsWithoutDay }: ReplayJob,
): Schemas['ReplayForecast'] {
  const rejected = rejectedOf(tally);
  const events = [...byType.values()].reduce((sum, count) => sum + count, 0);
  const warnings = [
    ...(malformed > 0 ? [`${String(malformed)} lines are no event and are skipped.`] : []),
    ...(rejected.some(({ code }) => code === 'event_too_old')
      ? ['Some events are older than what is still taken: move them forward by days.']
      : []),
    ...(idsWithoutDay > 0
      ? [`${String(idsWithoutDay)} events have ids that carry no day: it cannot be moved in time.`]
      : []),
  ];
  return {
    lines: events + malformed,
    events,
    malformed,
    accepted: tally.accepted,
    duplicates: tally.duplicates,
    rejected,
    players,
    firstAt: instantOrNull(firstMs),
    lastAt: instantOrNull(lastMs),
    byType: [...byType]
      .sort(([, a], [, b]) => b - a)
      .slice(0, TYPES_SHOWN)
      .map(([type, count]) => ({ type, events: count })),
    warnings,
  };
}

const TYPES_SHOWN = 100;

const rejectedOf = ({ rejected }: Tally): { code: string; events: number }[] =>
  Object.entries(rejected)
    .sort(([, a], [, b]) => b - a)
    .map(([code, events]) => ({ code, events }));

const answerOf = (job: ReplayJob): Schemas['Replay'] => ({
  jobId: job.jobId,
  name: job.name,
  state: job.state,
  uploadedAt: instantOf(job.uploadedAt.getTime()),
  uploadedBy: job.uploadedBy,
  startedAt: instantOrNull(job.startedAt?.getTime() ?? null),
  startedBy: job.startedBy,
  endedAt: instantOrNull(job.endedAt?.getTime() ?? null),
  expiresAt: instantOf(job.expiresAt.getTime()),
  lines: job.lines,
  line: job.line,
  accepted: job.tally.accepted,
  duplicates: job.tally.duplicates,
  rejected: rejectedOf(job.tally),
  failure: job.failure,
});
