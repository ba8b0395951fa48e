import type { Redis } from 'ioredis';
import type { KnownLife } from '../postgres/port.js';
import { lifeOfViews, serverLife } from '../redis/server-life.js';
import { ascending, boardScript, REACHED_DIGITS, SUBJECT_AT } from './redis.js';
import type { RankedSample, StoredRow, StoredRows } from './view-audit.js';

/** Reads the rows of a view as they are stored, for an audit. */
export function redisStoredRows(redis: Redis, databaseLife: KnownLife): StoredRows {
  const rows = boardScript(redis, lifeOfViews(serverLife(redis), databaseLife), 'board-rows-3');
  return async (key, order, epoch, subjects) => {
    const reply = await rows(key, [epoch, ...subjects]);
    if (!Array.isArray(reply)) return null;
    const texts = reply.map(String);
    return subjects.map((_subject, i) => storedRow(order, texts[2 * i] ?? '', texts[2 * i + 1] ?? ''));
  };
}

function storedRow(order: 'asc' | 'desc', stored: string, score: string): StoredRow | null {
  const bar = stored.indexOf('|');
  if (bar === -1) return null;
  const revision = Number(stored.slice(0, bar));
  const member = stored.slice(bar + 1);
  if (member === '' || score === '') return { revision, place: null };
  const reachedAtMs = Number(member.slice(0, REACHED_DIGITS));
  return { revision, place: { score: ascending(order, Number(score)), reachedAtMs } };
}

/** Draws members of a view as they are ranked, for a sample. */
export function redisRankedSample(redis: Redis, databaseLife: KnownLife): RankedSample {
  const sample = boardScript(redis, lifeOfViews(serverLife(redis), databaseLife), 'board-sample-3');
  return async (key, order, epoch, { count, at }) => {
    const reply = await sample(key, [epoch, count, Math.floor(at * 1_000_000)]);
    if (!Array.isArray(reply)) return null;
    const texts = reply.flat().map(String);
    const ranked = new Map<string, { subject: string; score: number; reachedAtMs: number }>();
    for (let i = 0; i + 1 < texts.length; i += 2) {
      const member = texts[i] ?? '';
      const score = ascending(order, Number(texts[i + 1]));
      const reachedAtMs = Number(member.slice(0, REACHED_DIGITS));
      ranked.set(member, { subject: member.slice(SUBJECT_AT), score, reachedAtMs });
    }
    return [...ranked.values()];
  };
}
