import { parseTimestamp } from '../contract/timestamp.js';
import { wrongParameter } from '../http/request-problem.js';
import type { GameRoutes } from './api/routes.js';
import { FIRST_HASH } from './audit-chain.js';
import { readAudit, verifyAudit } from './audit-read.postgres.js';

const PAGE_DEFAULT = 50;

const timeOf = (text: string | undefined): number | null =>
  text === undefined ? null : parseTimestamp(text);

/** What was done in a game, and whether the log of it is whole. */
export const auditRoutes: Pick<GameRoutes, 'listAudit' | 'verifyAudit'> = {
  listAudit: async ({ gameId, query, read }) => {
    const filter = {
      actor: query.actor ?? null,
      action: query.action ?? null,
      subject: query.subject ?? null,
      sinceMs: timeOf(query.since),
      beforeMs: timeOf(query.before),
    };
    const page = { limit: query.limit ?? PAGE_DEFAULT, cursor: query.cursor ?? null };
    const { items, nextCursor } = await read((sql) => readAudit(sql, gameId, filter, page));
    return {
      status: 200,
      body: {
        items: items.map(({ seq, atMs, actor, action, subject, reason, details, hash }) => ({
          seq,
          at: new Date(atMs).toISOString(),
          actor,
          action,
          subject,
          reason,
          details,
          hash: hash.toString('hex'),
        })),
        nextCursor,
      },
    };
  },
  verifyAudit: async ({ gameId, query, read }) => {
    const { afterSeq = 0, afterHash } = query;
    if ((afterSeq === 0) !== (afterHash === undefined)) throw wrongParameter('afterHash');
    const after = {
      seq: afterSeq,
      hash: afterHash === undefined ? FIRST_HASH : Buffer.from(afterHash, 'hex'),
    };
    const { lastHash, ...found } = await read((sql) => verifyAudit(sql, gameId, after));
    return { status: 200, body: { ...found, lastHash: lastHash?.toString('hex') ?? null } };
  },
};
