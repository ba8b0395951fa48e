import { RequestProblem } from '../../http/request-problem.js';
import type { Clock } from '../../kernel/clock.js';
import { OutageError } from '../../kernel/errors.js';
import type { Random } from '../../kernel/random.js';
import type { Sql } from '../../postgres/port.js';
import type { Logger, Metrics } from '../../runtime/port.js';
import type { AnyoneRoutes, GameRoutes } from '../api/routes.js';
import type { GameDatabase, GameRole, Person } from '../port.js';
import { openEventStream, type EndReason, type EventStream, type SentEvent } from './event-stream.js';
import { makeTicket, redeemTicket, type StreamTopic, type Ticket } from './tickets.postgres.js';

/**
 * What happens on a topic of a game: emits until the signal aborts, beginning after `lastEventId` where that is an id of its
 * own. What it reads from may be away for a while. Rejects when it cannot go on; the page then comes again.
 */
export type TopicSource = (
  place: {
    readonly gameId: string;
    readonly topic: StreamTopic;
    readonly lastEventId: string | null;
    readonly listener: Pick<Person, 'isAdminOfAll'>;
  },
  emit: (sent: SentEvent) => void,
  signal: AbortSignal,
) => Promise<void>;

export type BoardTopic = Extract<StreamTopic, { topic: 'board' }>;

export interface StreamRouteDeps {
  readonly games: GameDatabase;
  /** Acts as fairtally_api. */
  readonly sql: Sql;
  readonly sessionAccess: (
    sessionId: string,
    gameId: string,
  ) => Promise<{ readonly person: Person; readonly role: GameRole | null } | null>;
  readonly source: TopicSource;
  /** Whether a game has this board with this window. */
  readonly hasBoard: (gameId: string, topic: BoardTopic) => Promise<boolean>;
  /** One more ticket of a user. @throws RequestProblem `rate_limited`, OutageError */
  readonly takeTicket: (userId: string) => Promise<void>;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: Pick<Random, 'bytes'>;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Aborts when the process begins to stop. */
  readonly stopping: AbortSignal;
  /** How often it is asked whether the page may still listen. */
  readonly recheckMs?: number;
}

/** Whose role was taken listens for a minute at most, the time to ask included. */
const RECHECK_MS = 55_000;
const RECHECK_AGAIN_MS = 2_000;
/** A dozen pages of the dashboard, on several screens. */
const STREAMS_PER_USER_MAX = 16;
const STREAMS_MAX = 1_000;

/** Tickets, and the streams that they open. */
export function streamRoutes(deps: StreamRouteDeps): {
  readonly game: Pick<GameRoutes, 'createStreamTicket'>;
  readonly anyone: Pick<AnyoneRoutes, 'openStream'>;
} {
  const { games, sql, random, clock, takeTicket } = deps;
  const open = new OpenStreams();
  const tellEnd = endTeller(deps);
  return {
    game: {
      createStreamTicket: async ({ gameId, person, body: { topics }, requestId }) => {
        await takeTicket(person.userId);
        const boards = topics.filter((topic) => topic.topic === 'board');
        const areThere = await Promise.all(boards.map((topic) => deps.hasBoard(gameId, topic)));
        if (areThere.includes(false)) throw new RequestProblem('not_found');
        const actor = { userId: person.userId, name: person.username, requestId };
        const made = await games.upkeep(gameId, actor, (change) =>
          makeTicket(change.sql, { gameId, sessionId: person.sessionId, topics }, random),
        );
        return { status: 201, body: { ticket: made.ticket, expiresAt: made.expiresAt.toISOString() } };
      },
    },
    anyone: {
      openStream: async ({ query }) => {
        const ticket = await redeemTicket(sql, query.ticket);
        const access = ticket === null ? null : await deps.sessionAccess(ticket.sessionId, ticket.gameId);
        if (ticket === null || access === null || access.role === null)
          throw new RequestProblem('not_signed_in');
        const leave = open.enter(access.person.userId);
        if (leave === null) throw new RequestProblem('rate_limited');
        return {
          send: async (response) => {
            const stream = openEventStream(response, clock);
            whenAborted(stream.ended, () => {
              leave();
              tellEnd(stream.ended.reason as EndReason, access.person.username, ticket.gameId);
            });
            await feed(stream, { ...ticket, listener: access.person }, query.lastEventId ?? null, deps);
          },
        };
      },
    },
  };
}

interface Heard extends Ticket {
  readonly listener: Pick<Person, 'isAdminOfAll'>;
}

/** Counts the streams that end, and names those that were too slow: somebody may ask why a page stood still. */
function endTeller({
  metrics,
  logger,
}: Pick<StreamRouteDeps, 'metrics' | 'logger'>): (reason: EndReason, user: string, gameId: string) => void {
  const ended = metrics.counter(
    'fairtally_streams_ended_total',
    'Streams of the dashboard that ended, by reason',
    ['reason'],
  );
  return (reason, user, gameId) => {
    ended.inc({ reason });
    if (reason === 'too_slow') logger.info({ user, gameId, reason }, 'a stream was ended');
  };
}

/** Why a page may not listen any more; null: it may. */
async function faultOf(
  { sessionId, gameId, listener }: Heard,
  { sessionAccess }: StreamRouteDeps,
): Promise<'session_ended' | 'access_changed' | null> {
  const access = await sessionAccess(sessionId, gameId);
  if (access === null) return 'session_ended';
  const isSame = access.role !== null && access.person.isAdminOfAll === listener.isAdminOfAll;
  return isSame ? null : 'access_changed';
}

/** Runs the sources of a stream until the page leaves, may not listen any more, or the process stops. */
async function feed(
  stream: EventStream,
  ticket: Heard,
  lastEventId: string | null,
  deps: StreamRouteDeps,
): Promise<void> {
  const { source, stopping, logger } = deps;
  const drain = (): void => stream.end('draining');
  whenAborted(stopping, drain);
  try {
    const { gameId, topics, listener } = ticket;
    const sources = topics.map((topic) =>
      source({ gameId, topic, lastEventId, listener }, stream.emit, stream.ended),
    );
    await Promise.all([recheck(stream, ticket, deps), ...sources]);
  } catch (error) {
    // The page asks for a new ticket and begins again where it was.
    logger.warn({ err: error }, 'a stream could not go on');
    stream.end('draining');
  } finally {
    stopping.removeEventListener('abort', drain);
  }
}

/** While the database is away nobody can tell, nor does anything new happen: then it is asked again soon. */
async function recheck(stream: EventStream, ticket: Heard, deps: StreamRouteDeps): Promise<void> {
  const { clock, recheckMs = RECHECK_MS } = deps;
  let pauseMs = recheckMs;
  for (;;) {
    await clock.sleep(pauseMs, stream.ended);
    if (stream.ended.aborted) return;
    try {
      const fault = await faultOf(ticket, deps);
      if (fault !== null) stream.end(fault);
      pauseMs = recheckMs;
    } catch (error) {
      if (!(error instanceof OutageError)) throw error;
      pauseMs = Math.min(recheckMs, RECHECK_AGAIN_MS);
    }
  }
}

function whenAborted(signal: AbortSignal, act: () => void): void {
  if (signal.aborted) act();
  else signal.addEventListener('abort', act, { once: true });
}

/** How many streams are open, in all and per user. */
class OpenStreams {
  readonly #byUser = new Map<string, number>();
  #all = 0;

  /** null: there are too many. Else what to call when it ends, once. */
  enter(userId: string): (() => void) | null {
    const own = this.#byUser.get(userId) ?? 0;
    if (own >= STREAMS_PER_USER_MAX || this.#all >= STREAMS_MAX) return null;
    this.#byUser.set(userId, own + 1);
    this.#all += 1;
    return () => {
      const left = (this.#byUser.get(userId) ?? 1) - 1;
      if (left === 0) this.#byUser.delete(userId);
      else this.#byUser.set(userId, left);
      this.#all -= 1;
    };
  }
}
