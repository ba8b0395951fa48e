import pLimit from 'p-limit';
import type { Clock } from '../../kernel/clock.js';
import type { BoardQueries } from '../../query/boards.js';
import type { Logger } from '../../runtime/port.js';
import type { GameDatabase } from '../port.js';
import type { Schemas } from '../resources/answers.js';
import { pageOfBoard } from '../resources/board-routes.js';
import { listFindings } from '../resources/findings.postgres.js';
import { pipelineFor, readPipeline, type PipelineParts } from '../resources/pipeline-routes.js';
import type { SentEvent } from './event-stream.js';
import type { TopicSource } from './routes.js';
import { SharedLooks } from './shared-looks.js';

export interface TopicParts {
  readonly games: Pick<GameDatabase, 'read'>;
  /** Nobody else asks these: what they remember is never older than a look. */
  readonly boards: Pick<BoardQueries, 'top'>;
  readonly pipeline: PipelineParts;
  readonly clock: Pick<Clock, 'sleep'>;
  readonly logger: Logger;
}

/** A little longer than boards are remembered: each look sees a new one, and the page moves within two seconds of the event. */
const BOARD_EVERY_MS = 1_020;
const FINDINGS_EVERY_MS = 1_000;
const PIPELINE_EVERY_MS = 3_000;
/** Of the connections that requests have too. */
const LOOKS_AT_ONCE = 4;
const TOP_ROWS = 50;
/** As many new findings are told at once, and to one who was away; the others are in the list. */
const FINDINGS_MAX = 200;

type Finding = Schemas['Finding'];
type PageEvent = NonNullable<SentEvent['event']>;

/** The topics of api/admin.yaml: each is read once for all who listen to it, and not at all while nobody does. */
export function createTopicSource({ games, boards, pipeline, clock, logger }: TopicParts): TopicSource {
  const looks = { turns: pLimit(LOOKS_AT_ONCE), clock, logger };
  const boardLooks = new SharedLooks<PageEvent>({ ...looks, everyMs: BOARD_EVERY_MS });
  const pipelineLooks = new SharedLooks<Schemas['Pipeline']>({ ...looks, everyMs: PIPELINE_EVERY_MS });
  const findingLooks = new SharedLooks<readonly Finding[]>({ ...looks, everyMs: FINDINGS_EVERY_MS });

  return async ({ gameId, topic, lastEventId, listener }, emit, signal) => {
    const tell = (event: PageEvent): void => emit({ id: null, event });
    switch (topic.topic) {
      case 'board': {
        const { board, window, partition = '', limit = TOP_ROWS } = topic;
        const key = JSON.stringify([gameId, board, window, partition, limit]);
        const look = async (): Promise<PageEvent> => ({
          type: 'board',
          board: pageOfBoard(await boards.top({ gameId, board, window, partition, limit })),
        });
        return boardLooks.listen(key, look, tell, signal);
      }
      case 'pipeline': {
        const look = (): Promise<Schemas['Pipeline']> =>
          readPipeline({ gameId, read: (work) => games.read(gameId, work) }, pipeline);
        const tellState = (state: Schemas['Pipeline']): void =>
          tell({ type: 'pipeline', pipeline: pipelineFor(listener, state) });
        return pipelineLooks.listen(gameId, look, tellState, signal);
      }
      case 'findings': {
        const look = async (): Promise<readonly Finding[]> => {
          const query = { gameId, limit: FINDINGS_MAX, cursor: null };
          return (await games.read(gameId, (sql) => listFindings(sql, query))).items;
        };
        return findingLooks.listen(gameId, look, findingTeller(lastEventId, emit), signal);
      }
    }
  };
}

const FINDING_ID = /^f\.(\d{1,16})$/;
const eventId = (finding: Finding | undefined): string => `f.${String(finding?.findingId ?? 0)}`;

/**
 * Takes the latest findings, the last one first, again and again, and tells those that are new: earliest first, each once, and
 * beginning after the last one that the page has seen. Findings are compared one by one: they commit in another order than that
 * of their ids and times. A page that comes for the first time is told where it stands, and comes back to there.
 */
export function findingTeller(
  lastEventId: string | null,
  emit: (sent: SentEvent) => void,
): (latest: readonly Finding[]) => void {
  const lastSeen = FINDING_ID.exec(lastEventId ?? '')?.[1] ?? null;
  let seen: ReadonlySet<number> | null = null;
  return (latest) => {
    const ids = latest.map(({ findingId }) => findingId);
    if (seen === null && lastSeen === null) emit({ id: eventId(latest[0]), event: null });
    const before = seen ?? new Set(lastSeen === null ? ids : idsUntil(ids, Number(lastSeen)));
    seen = new Set(ids);
    for (const finding of latest.filter(({ findingId }) => !before.has(findingId)).reverse())
      emit({ id: eventId(finding), event: { type: 'finding', finding } });
  };
}

/** That id and those behind it; none where it is no longer among them. */
function idsUntil(ids: readonly number[], lastSeen: number): readonly number[] {
  const place = ids.indexOf(lastSeen);
  return place === -1 ? [] : ids.slice(place);
}
