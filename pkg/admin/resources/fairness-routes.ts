import type { DefinitionSource, FairnessMetric } from '../../games/port.js';
import { RequestProblem } from '../../http/request-problem.js';
import type { HideRequest } from '../../leaderboard/hide.js';
import type { BoardView } from '../../leaderboard/view.js';
import type { Sql } from '../../postgres/port.js';
import type { GameCall, GameRoutes } from '../api/routes.js';
import type { Change } from '../port.js';
import { found, pageRequest, type Schemas } from './answers.js';
import {
  addCaseEvent,
  clearVerdict,
  handOverHiding,
  judgeName,
  listCases,
  lockCase,
  lockPlayerState,
  readCase,
  readCaseDetail,
  setAssignee,
  storeVerdict,
  type LockedCase,
  type NewCaseEvent,
} from './cases.postgres.js';
import { readEvidence } from './evidence.postgres.js';
import { listFindings, readFinding } from './findings.postgres.js';

export interface FairnessParts {
  readonly definitions: Pick<DefinitionSource, 'version'>;
  /** Commits the state; false when it stood already. */
  readonly setHidden: (sql: Sql, request: HideRequest) => Promise<boolean>;
  readonly view: Pick<BoardView, 'refreshPlayer'>;
}

type FairnessOperation =
  | 'listFindings'
  | 'getEvidence'
  | 'listCases'
  | 'getCase'
  | 'assignCase'
  | 'addCaseNote'
  | 'judgeCase'
  | 'reverseVerdict';

const AROUND = 100;

/** Findings, the cases that they make, and what people decide about them. */
export const fairnessRoutes = (parts: FairnessParts): Pick<GameRoutes, FairnessOperation> => ({
  listFindings: async ({ gameId, query: { playerId, metric, ...page }, read }) => ({
    status: 200,
    body: await read((sql) => listFindings(sql, { gameId, playerId, metric, ...pageRequest(page) })),
  }),
  getEvidence: async ({ gameId, path, query, read }) => ({
    status: 200,
    body: await read(async (sql) => {
      const finding = found(await readFinding(sql, gameId, path.findingId));
      const metric = await metricOf(gameId, finding, parts);
      return readEvidence(sql, gameId, { finding, metric, around: query.around ?? AROUND });
    }),
  }),
  listCases: async ({ gameId, query: { state, assignee, playerId, metric, ...page }, person, read }) => ({
    status: 200,
    body: await read((sql) =>
      listCases(sql, {
        gameId,
        state,
        playerId,
        metric,
        assignee: assignee === 'nobody' ? null : assignee === 'me' ? person.userId : assignee,
        ...pageRequest(page),
      }),
    ),
  }),
  getCase: async ({ gameId, path, read }) => ({
    status: 200,
    body: found(await read((sql) => readCaseDetail(sql, gameId, path.caseId))),
  }),
  assignCase: async (call) => ({ status: 200, body: await assign(call) }),
  addCaseNote: async ({ gameId, path: { caseId }, body: { text }, person, change }) => ({
    status: 201,
    body: await change(async ({ sql, audit }) => {
      found(await lockCase(sql, gameId, caseId));
      audit({ action: 'case.note', subject: `case ${String(caseId)}` });
      return record(sql, gameId, caseId, { by: person.username, kind: 'noted', text });
    }),
  }),
  judgeCase: async (call) => ({ status: 200, body: await judge(call, parts) }),
  reverseVerdict: async (call) => ({ status: 200, body: await reverse(call, parts) }),
});

async function metricOf(
  gameId: string,
  finding: Schemas['Finding'],
  { definitions }: FairnessParts,
): Promise<FairnessMetric> {
  const definition = await definitions.version(gameId, finding.definitionVersion);
  return found(definition.fairness.find(({ name }) => name === finding.metric));
}

async function record(
  sql: Sql,
  gameId: string,
  caseId: number,
  event: NewCaseEvent,
): Promise<Schemas['CaseEvent']> {
  const recorded = await addCaseEvent(sql, gameId, caseId, event);
  if (recorded === null) throw new RequestProblem('case_full');
  return recorded;
}

const assign = ({
  gameId,
  path: { caseId },
  body: { userId },
  person,
  change,
}: GameCall<'assignCase'>): Promise<Schemas['Case']> =>
  change(async ({ sql, audit }) => {
    found(await lockCase(sql, gameId, caseId));
    const assignee = userId === null ? null : await judgeName(sql, gameId, userId);
    if (userId !== null && assignee === null) throw new RequestProblem('assignee_unfit');
    await setAssignee(sql, gameId, caseId, userId);
    await record(sql, gameId, caseId, { by: person.username, kind: 'assigned', assignee });
    audit({ action: 'case.assign', subject: `case ${String(caseId)}`, details: { assignee } });
    return found(await readCase(sql, gameId, caseId));
  });

/** The verdict and the hiding commit together; the view of the boards follows, and heals by itself if it cannot. */
async function judge(
  { gameId, path: { caseId }, body, person, change }: GameCall<'judgeCase'>,
  { setHidden, view }: FairnessParts,
): Promise<Schemas['Case']> {
  const { verdict, hide, reason } = body;
  if (hide && verdict !== 'cheat') throw new RequestProblem('invalid_field', { pointer: '/hide' });
  const by = person.username;
  const judged = await change(async ({ sql, audit }) => {
    const one = found(await lockCase(sql, gameId, caseId));
    if (one.state !== 'open') throw new RequestProblem('case_decided');
    const { playerId } = one;
    const changed = hide && (await setHidden(sql, { gameId, playerId, hidden: true, by, reason }));
    const askedRevision = hide ? ((await lockPlayerState(sql, gameId, playerId))?.revision ?? null) : null;
    const hidingRevision = changed ? askedRevision : null;
    await storeVerdict(sql, gameId, caseId, {
      verdict,
      by,
      reason,
      hid: hide,
      askedRevision,
      hidingRevision,
    });
    await record(sql, gameId, caseId, { by, kind: verdict, text: reason, hid: hide });
    const details = { verdict, playerId, metric: one.metric, hide, changed };
    audit({ action: 'case.judge', subject: `case ${String(caseId)}`, reason, details });
    return found(await readCase(sql, gameId, caseId));
  });
  if (hide) await view.refreshPlayer(gameId, judged.playerId);
  return judged;
}

async function reverse(
  { gameId, path: { caseId }, body: { reason }, person, change }: GameCall<'reverseVerdict'>,
  parts: FairnessParts,
): Promise<Schemas['Case']> {
  const by = person.username;
  const { answer, restored } = await change(async (made) => {
    const { sql, audit } = made;
    const one = found(await lockCase(sql, gameId, caseId));
    if (one.state !== 'cheat' && one.state !== 'clean') throw new RequestProblem('case_open');
    const isRestored = one.hid && (await restoreAfter(one, made, { gameId, by, reason }, parts));
    await clearVerdict(sql, gameId, one);
    await record(sql, gameId, caseId, { by, kind: 'reversed', text: reason });
    const details = { verdict: one.state, playerId: one.playerId, metric: one.metric, restored: isRestored };
    audit({ action: 'case.reverse', subject: `case ${String(caseId)}`, reason, details });
    return { answer: found(await readCase(sql, gameId, caseId)), restored: isRestored };
  });
  if (restored) await parts.view.refreshPlayer(gameId, answer.playerId);
  return answer;
}

/** Restores the player if a verdict is what hides them and no other verdict asks for it: what somebody hid by hand stays hidden. */
async function restoreAfter(
  one: LockedCase,
  { sql }: Change,
  { gameId, by, reason }: { readonly gameId: string; readonly by: string; readonly reason: string },
  { setHidden }: FairnessParts,
): Promise<boolean> {
  if (await handOverHiding(sql, gameId, one)) return false;
  const state = await lockPlayerState(sql, gameId, one.playerId);
  if (state === null || !state.hidden || state.revision !== one.hidingRevision) return false;
  return setHidden(sql, { gameId, playerId: one.playerId, hidden: false, by, reason });
}
