import type { Lag } from '../../bus/port.js';
import type { DefinitionSource } from '../../games/port.js';
import type { Clock } from '../../kernel/clock.js';
import { ROLES, type RoleName } from '../../kernel/roles.js';
import type { Sql } from '../../postgres/port.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import type { Person } from '../port.js';
import { instantOf, instantOrNull, type Schemas } from './answers.js';
import { acceptedSteps, readRate, type Rate } from './pipeline-minutes.postgres.js';
import {
  countLogged,
  findingSteps,
  letterSteps,
  readOpenThings,
  readRoleCounts,
  type OpenThings,
  type RoleCounts,
} from './pipeline.postgres.js';
import { readRefusals, refusedSteps } from './refusal-minutes.postgres.js';

export interface PipelineParts {
  /** Its name in the configuration. */
  readonly bus: string;
  /** What a role has not settled, over all games. */
  readonly lag: (role: RoleName) => Promise<Lag>;
  readonly isLagExact: boolean;
  /** Whether there is a view of the boards, and can be reached. */
  readonly viewState: () => 'none' | 'away' | 'there';
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly clock: Pick<Clock, 'now'>;
}

const FRESH_MS = 1_000;
const GAMES_REMEMBERED = 1_000;
/** A role whose oldest event waits longer is behind. */
const BEHIND_SECONDS = 30;
const SERIES_HOURS = 24;
const SERIES_STEP_SECONDS = 300;

/** Whether all of it is healthy. Many pages may ask: each game is looked at once a second. */
export const pipelineRoutes = (
  parts: PipelineParts,
): Pick<GameRoutes, 'getPipeline' | 'getPipelineSeries'> => {
  const recent = new Map<string, { readonly atMs: number; readonly answer: Promise<Schemas['Pipeline']> }>();
  const remembered = (
    call: Pick<GameCall<'getPipeline'>, 'gameId' | 'read'>,
  ): Promise<Schemas['Pipeline']> => {
    const atMs = parts.clock.now();
    const last = recent.get(call.gameId);
    if (last !== undefined && atMs - last.atMs < FRESH_MS) return last.answer;
    if (recent.size >= GAMES_REMEMBERED) recent.clear();
    const answer = readPipeline(call, parts);
    recent.set(call.gameId, { atMs, answer });
    // What failed is asked again, by whoever comes next.
    answer.catch(() => recent.delete(call.gameId));
    return answer;
  };
  return {
    getPipeline: async (call) => ({
      status: 200,
      body: pipelineFor(call.person, await remembered(call)),
    }),
    getPipelineSeries: async ({ gameId, query, read }) => {
      const stepSeconds = query.stepSeconds ?? SERIES_STEP_SECONDS;
      const span = { hours: query.hours ?? SERIES_HOURS, stepSeconds, nowMs: parts.clock.now() };
      return {
        status: 200,
        body: { stepSeconds, points: await read((sql) => readSeries(sql, gameId, span)) },
      };
    },
  };
};

/** The state of a game's pipeline now, as an admin of all games sees it; streams ask it too. */
export async function readPipeline(
  { gameId, read }: Pick<GameCall<'getPipeline'>, 'gameId' | 'read'>,
  parts: PipelineParts,
): Promise<Schemas['Pipeline']> {
  const nowMs = parts.clock.now();
  const [definition, lags, seen] = await Promise.all([
    parts.definitions.inForce(gameId, nowMs),
    Promise.all(ROLES.map((role) => lagOf(role, parts))),
    read(async (sql) => ({
      rate: await readRate(sql, gameId),
      counts: await readRoleCounts(sql),
      refusals: await readRefusals(sql, gameId),
      open: await readOpenThings(sql, gameId),
      acknowledged: parts.bus === 'postgres' ? await countLogged(sql) : null,
    })),
  ]);
  const roles = ROLES.map((role, index) =>
    roleLine(role, seen.counts.get(role), lags[index] ?? null, parts, nowMs),
  );
  const view = viewOf(seen.open, parts);
  const holds = roles.every((line) => line.holds);
  return {
    at: instantOf(nowMs),
    status: statusOf(roles, { holds, open: seen.open, view }),
    definitionVersion: definition?.version ?? null,
    bus: parts.bus,
    rate: rateOf(seen.rate),
    refusals: seen.refusals,
    roles,
    conservation: {
      holds,
      acknowledged: seen.acknowledged,
      archived: seen.counts.get('archive')?.applied ?? 0,
    },
    deadLetters: { open: seen.open.openLetters, redriven: seen.open.redrivenLetters },
    drift: driftOf(seen.open),
    view,
    openCases: seen.open.openCases,
    findings24h: seen.open.findings24h,
  };
}

/** Without the counts of all games, for who is not admin of all of them: other games are none of theirs. */
export const pipelineFor = (
  { isAdminOfAll }: Pick<Person, 'isAdminOfAll'>,
  pipeline: Schemas['Pipeline'],
): Schemas['Pipeline'] =>
  isAdminOfAll
    ? pipeline
    : { ...pipeline, roles: pipeline.roles.map((line) => ({ ...line, ...UNTOLD })), conservation: null };

const UNTOLD = {
  waiting: null,
  delivered: null,
  applied: null,
  duplicate: null,
  conflict: null,
  dead: null,
} as const;

/** null when the bus cannot tell now: the rest is shown all the same, and `waiting` says that it is not known. */
const lagOf = (role: RoleName, { lag }: PipelineParts): Promise<Lag | null> => lag(role).catch(() => null);

function roleLine(
  role: RoleName,
  counts: RoleCounts = { delivered: 0, applied: 0, duplicate: 0, conflict: 0, dead: 0 },
  lag: Lag | null,
  { isLagExact }: PipelineParts,
  nowMs: number,
): Schemas['RoleLine'] {
  const { delivered, applied, duplicate, conflict, dead } = counts;
  const oldestMs = lag?.oldestPublishedAtMs ?? null;
  return {
    role,
    waiting: lag?.waiting ?? null,
    waitingIsExact: isLagExact,
    oldestSeconds: oldestMs === null ? null : Math.max(0, (nowMs - oldestMs) / 1000),
    delivered,
    applied,
    duplicate,
    conflict,
    dead,
    holds: delivered === applied + duplicate + conflict + dead,
  };
}

function viewOf(
  { openCycles, voidCycles }: OpenThings,
  { viewState }: PipelineParts,
): Schemas['Pipeline']['view'] {
  const state = viewState();
  if (state === 'there')
    return { state: voidCycles === 0 ? 'whole' : 'building', openCycles, staleCycles: voidCycles };
  return { state, openCycles, staleCycles: state === 'none' ? 0 : openCycles };
}

/** What was never compared is not known to lack nothing. */
const driftOf = ({ comparedThrough, lacking }: OpenThings): Schemas['Pipeline']['drift'] => ({
  isKnown: comparedThrough !== null,
  comparedThrough: instantOrNull(comparedThrough?.getTime() ?? null),
  missing: comparedThrough === null && lacking === 0 ? null : lacking,
});

const rateOf = ({ lastMinute, lastHour, lastEventAt }: Rate): Schemas['Pipeline']['rate'] => ({
  perSecond: Math.round((lastMinute / 60) * 100) / 100,
  lastMinute,
  lastHour,
  lastEventAt: instantOrNull(lastEventAt?.getTime() ?? null),
});

function statusOf(
  roles: readonly Schemas['RoleLine'][],
  {
    holds,
    open,
    view,
  }: { readonly holds: boolean; readonly open: OpenThings; readonly view: Schemas['Pipeline']['view'] },
): Schemas['Pipeline']['status'] {
  const isAway = view.state === 'away' || roles.some(({ waiting }) => waiting === null);
  if (!holds || isAway || open.openLetters > 0) return 'degraded';
  return roles.some(({ oldestSeconds }) => (oldestSeconds ?? 0) > BEHIND_SECONDS) ? 'behind' : 'healthy';
}

interface Span {
  readonly hours: number;
  readonly stepSeconds: number;
  readonly nowMs: number;
}

/** Every step of the span, those in which nothing happened included. */
async function readSeries(
  sql: Sql,
  gameId: string,
  { hours, stepSeconds, nowMs }: Span,
): Promise<Schemas['SeriesPoint'][]> {
  const stepMs = stepSeconds * 1000;
  const steps = (hours * 3600) / stepSeconds;
  const lastMs = nowMs - (nowMs % stepMs);
  const sinceMs = lastMs - (steps - 1) * stepMs;
  const accepted = byStep(await acceptedSteps(sql, gameId, sinceMs, stepSeconds));
  const refused = byStep(await refusedSteps(sql, gameId, sinceMs, stepSeconds));
  const findings = byStep(await findingSteps(sql, gameId, sinceMs, stepSeconds));
  const letters = byStep(await letterSteps(sql, gameId, sinceMs, stepSeconds));
  return Array.from({ length: steps }, (_, index) => {
    const atMs = sinceMs + index * stepMs;
    const took = accepted.get(atMs);
    return {
      at: instantOf(atMs),
      accepted: took?.accepted ?? 0,
      refused: refused.get(atMs)?.count ?? 0,
      findings: findings.get(atMs)?.count ?? 0,
      dead: letters.get(atMs)?.count ?? 0,
      maxDelaySeconds: took === undefined ? null : took.maxDelayMs / 1000,
    };
  });
}

const byStep = <Step extends { readonly atMs: number }>(steps: readonly Step[]): ReadonlyMap<number, Step> =>
  new Map(steps.map((step) => [step.atMs, step]));
