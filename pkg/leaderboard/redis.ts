import type { Redis } from 'ioredis';
import type { Board } from '../games/port.js';
import { redisScript } from '../redis/client.js';
import type { KnownLife } from '../postgres/port.js';
import {
  forgetsWhenFull,
  lifeOfViews,
  serverLife,
  type ServerInfo,
  type ServerLife,
} from '../redis/server-life.js';
import type { Logger } from '../runtime/port.js';
import type { BoardKey, BoardQuestion, BoardSlice, Entry } from './port.js';
import type { ApplyOptions, BoardViewStore, Mark, ViewRow } from './view-port.js';

/** Rows per call of the script, so that one call never holds the server for long. */
const CHUNK_ROWS = 400;
/** A build that has not moved for this long is forgotten. */
const BUILD_LEASE_MS = 30_000;
export const REACHED_DIGITS = 15;
export const SUBJECT_AT = REACHED_DIGITS + 1;
const ABSENT = -1;
const NEWER = -2;

/** `lb:{game:board:partition:cycle}`: the braces make all keys of a cycle one Cluster slot. */
const nameOf = (key: BoardKey): string =>
  `lb:{${[key.gameId, key.board, key.partition, key.cycle].map(encodeURIComponent).join(':')}}`;

type BoardScript = (key: BoardKey, args: readonly (string | number)[]) => Promise<unknown>;

/** A script of the view of a cycle. It is told the life of server and database, without which no mark is trusted. */
export function boardScript(redis: Redis, life: ServerLife, name: string): BoardScript {
  const script = redisScript(redis, name);
  return async (key, args) => {
    const current = await life();
    if (current === null)
      throw new Error('Redis is away, or the life of it (INFO run_id) or of the database is not known');
    const rank = nameOf(key);
    return script([rank, `${rank}:rows`, `${rank}:mark`], [current, ...args]);
  };
}

/** Scores are kept so that the best is the smallest. */
export const ascending = (order: Board['order'], score: number): number =>
  order === 'asc' || score === 0 ? score : -score;
const digitsOf = (reachedAtMs: number): string => String(reachedAtMs).padStart(REACHED_DIGITS, '0');

/** The view in Redis, through the scripts of pkg/redis. */
export function redisBoardView(redis: Redis, log: Logger, databaseLife: KnownLife): BoardViewStore {
  const life = lifeOfViews(serverLife(redis, forgettingTold(log)), databaseLife);
  const begin = boardScript(redis, life, 'board-begin-3');
  const apply = boardScript(redis, life, 'board-apply-3');
  const complete = boardScript(redis, life, 'board-complete-3');
  const mark = boardScript(redis, life, 'board-mark-3');
  const ask = questions(redis, life);

  const applyChunk = async (
    key: BoardKey,
    order: Board['order'],
    rows: readonly ViewRow[],
    options: ApplyOptions,
  ) => {
    const args: (string | number)[] = [
      options.epoch,
      options.build ?? '',
      BUILD_LEASE_MS,
      options.expireAtMs ?? 0,
    ];
    for (const row of rows) {
      const score = row.hidden ? '' : ascending(order, row.score);
      args.push(row.subject, row.revision, score, digitsOf(row.reachedAtMs));
    }
    return Number(await apply(key, args));
  };

  return {
    isAway: () => redis.status !== 'ready',
    async begin(key, epoch) {
      const build = await begin(key, [epoch, BUILD_LEASE_MS]);
      return typeof build === 'string' ? build : null;
    },
    async apply(key, order, rows, options) {
      const calls: Promise<number>[] = [];
      for (let at = 0; at === 0 || at < rows.length; at += CHUNK_ROWS) {
        calls.push(applyChunk(key, order, rows.slice(at, at + CHUNK_ROWS), options));
      }
      const results = await Promise.all(calls);
      return results.includes(ABSENT) ? 'absent' : results.includes(NEWER) ? 'newer' : 'applied';
    },
    complete: async (key, epoch, build, expireAtMs) =>
      (await complete(key, [epoch, build, expireAtMs ?? 0])) === 1,
    marks: (keys) => Promise.all(keys.map(async (key) => markOf(await mark(key, [])))),
    async read(key, board, epoch, question) {
      if (redis.status !== 'ready') return 'away';
      try {
        return await ask(key, board, epoch, question);
      } catch (error) {
        log.warn(
          { err: error, gameId: key.gameId, board: key.board },
          'the view of a board could not be read',
        );
        return 'away';
      }
    },
  };
}

/** Tells once that the server may forget keys: each one costs the build of a view. */
function forgettingTold(log: Logger): (info: ServerInfo) => void {
  let isTold = false;
  return (info) => {
    if (isTold || !forgetsWhenFull(info)) return;
    isTold = true;
    const policy = info.get('maxmemory_policy');
    log.warn({ policy }, 'Redis forgets keys when its memory is full: set maxmemory-policy noeviction');
  };
}

function markOf(reply: unknown): Mark | null {
  const [epoch, state] = typeof reply === 'string' ? reply.split('|') : [];
  if (epoch === undefined || (state !== 'building' && state !== 'complete')) return null;
  return { epoch: Number(epoch), state };
}

type Ask = (
  key: BoardKey,
  board: Board,
  epoch: number,
  question: BoardQuestion,
) => Promise<BoardSlice | null>;

function questions(redis: Redis, life: ServerLife): Ask {
  const top = boardScript(redis, life, 'board-top-3');
  const around = boardScript(redis, life, 'board-around-3');
  const subjects = boardScript(redis, life, 'board-subjects-3');

  return async (key, { order }, epoch, question) => {
    switch (question.kind) {
      case 'top': {
        const { after, limit } = question;
        const place =
          after === null
            ? ['', '']
            : [ascending(order, after.score), `${digitsOf(after.reachedAtMs)}:${after.subject}`];
        return pageOf(order, await top(key, [epoch, limit, ...place]));
      }
      case 'around':
        return pageOf(order, await around(key, [epoch, question.subject, question.limit]));
      case 'subjects':
        return placesOf(order, await subjects(key, [epoch, ...new Set(question.subjects)]));
    }
  };
}

function entryOf(order: Board['order'], rank: number, member: string, score: string): Entry {
  return {
    rank: rank + 1,
    subject: member.slice(SUBJECT_AT),
    score: ascending(order, Number(score)),
    reachedAtMs: Number(member.slice(0, REACHED_DIGITS)),
  };
}

/** RESP2 answers members and scores in one flat list, RESP3 in pairs. */
function pageOf(order: Board['order'], reply: unknown): BoardSlice | null {
  if (!Array.isArray(reply)) return null;
  const [total, first, page] = reply as [number, number, unknown[]];
  const flat = page.flat().map(String);
  const entries: Entry[] = [];
  for (let i = 0; i + 1 < flat.length; i += 2) {
    entries.push(entryOf(order, first + i / 2, flat[i] ?? '', flat[i + 1] ?? ''));
  }
  return { total, entries };
}

function placesOf(order: Board['order'], reply: unknown): BoardSlice | null {
  if (!Array.isArray(reply)) return null;
  const [total, found] = reply as [number, unknown[]];
  const entries: Entry[] = [];
  for (let i = 0; i + 2 < found.length; i += 3) {
    entries.push(entryOf(order, Number(found[i]), String(found[i + 1]), String(found[i + 2])));
  }
  return { total, entries: entries.sort((a, b) => a.rank - b.rank) };
}
