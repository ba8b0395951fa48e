import type { GameOperationId, OperationId } from '../../admin/api/routes.js';
import { NAMESAKE, type Things } from './seed.js';

/** A request about the things `of` one game, as it is asked in the game `at`. */
export interface Asked {
  /** What the path names beside the game. */
  readonly path?: Readonly<Record<string, string | number>>;
  readonly query?: Readonly<Record<string, string | number>>;
  /** JSON; a text is sent as NDJSON. */
  readonly body?: unknown;
  /** The status where `of` is another game than `at`: 404 where the path names a thing, else 200, unless it is said. */
  readonly crossing?: number;
  /** What only an answer about the game itself holds; null: nothing. One of its marks unless it is said. */
  readonly shows?: string | null;
  /** The status in the game itself; any good one unless it is said. */
  readonly own?: number;
}

export type Entry = (of: Things, at: Things) => readonly Asked[];

const because = { reason: 'a test of walls' };
const shared = { path: { playerId: NAMESAKE } };
const ofPlayer = ({ playerId }: Things): { readonly playerId: string } => ({ playerId });

/** Every operation of a game, with each of the ways in which it could be asked for a thing of another. */
export const MATRIX: Readonly<Record<GameOperationId, Entry>> = {
  getGame: () => [{}],
  listDefinitions: (of) => [{ shows: `"version":${String(of.version)}` }],
  applyDefinition: (_of, at) => [{ body: { source: at.nextSource }, crossing: 201, shows: null }],
  getDefinition: (of) => [{ path: { version: of.version } }],
  planDefinition: (_of, at) => [{ body: { source: at.nextSource } }],
  listKeys: () => [{}],
  createKey: (of) => [
    { body: { scopes: ['ingest'] }, crossing: 201, shows: null },
    { body: { scopes: ['ingest'], keyId: of.keyId }, crossing: 409, own: 409, shows: null },
  ],
  rotateKey: (of) => [{ path: { keyId: of.keyId }, body: { overlapSeconds: 60 } }],
  retireKey: (of) => [{ path: { keyId: of.otherKeyId }, body: {} }],
  revokeKey: (of) => [{ path: { keyId: of.otherKeyId }, body: because }],
  listUsers: () => [{}],
  addUser: (_of, at) => [
    { body: { username: `new-of-${at.code}`, role: 'viewer' }, crossing: 201, shows: at.code },
  ],
  setUserRole: (of) => [{ path: { userId: of.member.userId }, body: { role: 'operator' } }],
  removeUser: (of) => [{ path: { userId: of.leaver.userId }, shows: null }],
  resetUserPassword: (of) => [{ path: { userId: of.forgetful.userId }, shows: null }],
  listAudit: () => [{}],
  verifyAudit: (of) => [{ shows: null }, { query: { afterSeq: 1, afterHash: of.auditHash }, shows: null }],
  listBoards: () => [{}],
  getBoard: (of) => [
    { path: { board: of.board } },
    { path: { board: 'xp' }, query: { window: 'all-time' }, crossing: 200 },
    { path: { board: 'xp' }, query: { window: 'all-time', around: NAMESAKE }, crossing: 200 },
    { path: { board: 'xp' }, query: { window: 'all-time', around: of.playerId }, crossing: 200 },
    { path: { board: 'xp' }, query: { window: 'all-time', subject: of.playerId }, crossing: 200 },
    { path: { board: 'boss-time' }, query: { window: 'all-time', partition: of.partition }, crossing: 200 },
  ],
  listBoardCycles: (of) => [
    { path: { board: of.board }, crossing: 200, shows: '"cycle"' },
    { path: { board: 'xp' }, query: { window: 'daily' }, crossing: 200, shows: '"cycle"' },
  ],
  listBoardPartitions: (of) => [
    { path: { board: of.board }, shows: '"items"' },
    { path: { board: 'boss-time' }, query: { window: 'all-time' }, crossing: 200, shows: of.partition },
  ],
  exportBoard: (of) => [
    { path: { board: of.board } },
    { path: { board: 'xp' }, query: { window: 'all-time' }, crossing: 200 },
  ],
  rebuildBoard: (of) => [
    { path: { board: of.board }, body: { window: 'all-time' }, shows: null },
    { path: { board: 'boss-time' }, body: { window: 'all-time', partition: of.partition }, shows: null },
  ],
  searchPlayers: (of) => [{ query: { prefix: of.playerId } }, {}],
  getPlayer: (of) => [{ path: ofPlayer(of) }],
  listXp: (of) => [
    { path: ofPlayer(of), crossing: 200 },
    { ...shared, crossing: 200 },
  ],
  getXpSeries: (of) => [{ path: ofPlayer(of), crossing: 200 }],
  listPlayerReceipts: (of) => [
    { path: ofPlayer(of), crossing: 200 },
    { ...shared, crossing: 200 },
  ],
  listPlayerFindings: (of) => [
    { path: ofPlayer(of), crossing: 200 },
    { ...shared, crossing: 200 },
  ],
  listPlayerBoards: (of) => [
    { path: ofPlayer(of), crossing: 200 },
    { ...shared, crossing: 200 },
  ],
  hidePlayer: (of) => [{ path: ofPlayer(of), body: because, shows: '"hidden":true' }],
  restorePlayer: (of) => [{ path: ofPlayer(of), body: because, shows: '"hidden":false' }],
  listFindings: (of) => [{}, { query: { playerId: of.playerId } }],
  getEvidence: (of) => [{ path: { findingId: of.findingId } }],
  listCases: (of) => [
    {},
    { query: { playerId: of.playerId } },
    { query: { assignee: of.member.userId }, shows: null },
  ],
  getCase: (of) => [{ path: { caseId: of.caseId } }],
  assignCase: (of, at) => [
    { path: { caseId: of.caseId }, body: { userId: null } },
    { path: { caseId: at.caseId }, body: { userId: of.member.userId }, crossing: 409 },
  ],
  addCaseNote: (of) => [{ path: { caseId: of.caseId }, body: { text: 'a note' }, shows: null }],
  judgeCase: (of) => [{ path: { caseId: of.caseId }, body: { verdict: 'cheat', hide: true, ...because } }],
  reverseVerdict: (of) => [{ path: { caseId: of.caseId }, body: because }],
  listReceipts: () => [{}],
  getReceipt: (of) => [{ path: { receiptId: of.receiptId } }],
  listRevokedReceipts: () => [{}],
  verifyReceipt: (of) => [{ body: { jws: of.jws } }],
  revokeReceipt: (of) => [{ path: { receiptId: of.receiptId }, body: because }],
  listDeadLetters: (of) => [{}, { query: { playerId: of.playerId } }],
  tallyDeadLetters: (of) => [{ query: { playerId: of.playerId } }],
  redriveDeadLetters: (of) => [
    {
      body: { dryRun: false, ...because, select: { letterIds: [of.letterId] } },
      crossing: 409,
      shows: '"sent":1',
    },
    { body: { dryRun: true, ...because, select: { playerId: of.playerId } }, shows: '"letters":2' },
  ],
  dropDeadLetters: (of) => [
    {
      body: { dryRun: false, ...because, select: { letterIds: [of.otherLetterId] } },
      crossing: 409,
      shows: '"dropped":1',
    },
    { body: { dryRun: true, ...because, select: { reason: of.code } }, shows: '"letters":1' },
  ],
  getRedrive: (of) => [{ path: { actionId: of.actionId } }],
  getDeadLetter: (of) => [{ path: { letterId: of.otherLetterId } }],
  listReplays: () => [{}],
  uploadReplay: (_of, at) => [{ query: { name: `of ${at.gameId}` }, body: '{"id":"e"}', crossing: 201 }],
  getReplay: (of) => [{ path: { jobId: of.jobId } }],
  dryRunReplay: (of) => [{ path: { jobId: of.jobId }, shows: '"accepted":1' }],
  startReplay: (of) => [{ path: { jobId: of.jobId }, body: because }],
  cancelReplay: (of) => [{ path: { jobId: of.jobId } }],
  deleteReplay: (of) => [{ path: { jobId: of.otherJobId }, shows: null }],
  listRecentEvents: (of) => [{ query: { playerId: of.playerId } }, { query: { keyId: of.keyId } }],
  getPipeline: () => [{}],
  getPipelineSeries: () => [{}],
  createStreamTicket: (of) => [
    {
      body: { topics: [{ topic: 'board', board: of.board, window: 'all-time' }] },
      crossing: 404,
      shows: null,
    },
  ],
};

/** The others: what is asked of them by somebody who has nothing in the other game, or why nothing is. */
export const OTHERS: Readonly<Record<Exclude<OperationId, GameOperationId>, Entry | string>> = {
  getSignInOptions: 'says what the installation offers, to anyone',
  login: 'names a person and no game',
  startOidc: 'names no game',
  exchangeOidc: 'names a person and no game',
  refreshSession: 'speaks of the session that asks',
  logout: 'speaks of the session that asks',
  changePassword: 'speaks of the person who asks',
  revokeAllSessions: 'speaks of the person who asks',
  openStream: 'is asked with a ticket, which names the game: a test of its own',
  getMe: () => [{}],
  listSessions: () => [{}],
  listGames: () => [{}],
  revokeSession: (of) => [{ path: { sessionId: of.member.sessionId } }],
};
