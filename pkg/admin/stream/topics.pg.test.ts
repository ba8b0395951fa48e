import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { GameDefinition } from '../../games/port.js';
import { systemClock } from '../../kernel/clock.js';
import { commitBatch, definitionWith, NOON_MS, testBoard } from '../../leaderboard/fixtures.js';
import { roleEvent } from '../../testkit/admitted-event.js';
import { eventually } from '../../testkit/eventually.js';
import { quietLogger } from '../../testkit/quiet.js';
import type { Schemas } from '../resources/answers.js';
import { openWorld, type World } from '../resources/fixtures.js';
import type { SentEvent } from './event-stream.js';
import type { TopicSource } from './routes.js';
import type { StreamTopic } from './tickets.postgres.js';
import { createTopicSource, findingTeller } from './topics.js';

let world: World;
let source: TopicSource;
let gameId: string;
let definition: GameDefinition;
let games = 0;
let leaving: AbortController;
let listening: Promise<void>[];

beforeAll(async () => {
  world = await openWorld();
  const boards = world.boardsOf(() => definition);
  source = createTopicSource({
    games: world.games,
    boards: {
      top: (request) => {
        world.clock.set(world.clock.now() + 1_020); // as long as a look waits
        return boards.top(request);
      },
    },
    pipeline: {
      bus: 'postgres',
      lag: () => Promise.resolve({ waiting: 0, oldestPublishedAtMs: null }),
      isLagExact: true,
      viewState: () => 'none',
      definitions: { inForce: () => Promise.resolve(definition) },
      clock: world.clock,
    },
    clock: { sleep: (ms, signal) => systemClock.sleep(ms / 50, signal) },
    logger: quietLogger,
  });
});
afterAll(() => world.close());
beforeEach(async () => {
  gameId = `live-${String((games += 1))}`;
  definition = definitionWith(gameId, testBoard());
  [leaving, listening] = [new AbortController(), []];
  await world.makeGame(gameId);
});
afterEach(async () => {
  leaving.abort();
  await Promise.all(listening);
});

function listen(topic: StreamTopic, lastEventId: string | null = null): SentEvent[] {
  const heard: SentEvent[] = [];
  const emit = (sent: SentEvent): void => void heard.push(sent);
  listening.push(
    source({ gameId, topic, lastEventId, listener: { isAdminOfAll: true } }, emit, leaving.signal),
  );
  return heard;
}

let identities = 0;
const identity = (): string => `00000000-0000-4000-8000-${String((identities += 1)).padStart(12, '0')}`;
const find = async (playerId: string, game = gameId): Promise<number> => {
  const [row] = await world.db.query<{ id: number }>(
    `INSERT INTO suspicious_events (game_id, player_id, metric, partition, dedupe_day, identity, event_id, ts_ms, value, judged,
                                    mean, deviation, z, sample_no, definition_version)
     VALUES ($1, $2, 'm', '', '2026-11-20', $3, 'e-1', $4, 100, 4.6, 1, 0.5, 9, 3, 1) RETURNING finding_id AS id`,
    [game, playerId, identity(), NOON_MS],
  );
  return row?.id ?? 0;
};
const findingsIn = (heard: readonly SentEvent[]): string[] =>
  heard.flatMap(({ event }) => (event?.type === 'finding' ? [event.finding.playerId] : []));

describe('the topic of a board', () => {
  test('tells the page as it is, and again when an event has moved it', async () => {
    const { name, windows } = testBoard();
    const heard = listen({ topic: 'board', board: name, window: windows[0]?.kind ?? 'daily', limit: 2 });
    await eventually('the board is told', () => heard.length === 1);
    expect(heard[0]).toMatchObject({ id: null, event: { type: 'board', board: { total: 0, items: [] } } });
    const events = ['p-1', 'p-2', 'p-3'].map((playerId, index) =>
      roleEvent(definition, {
        id: `e-${String(index)}`,
        playerId,
        gameId,
        tsMs: NOON_MS,
        payload: { deltaXp: 10 * (index + 1) },
      }),
    );
    await commitBatch(world.db, events);
    await eventually('the board is told again', () => heard.length > 1);
    expect(heard[1]?.event).toMatchObject({
      board: {
        total: 3,
        items: [
          { rank: 1, subject: 'p-3' },
          { rank: 2, subject: 'p-2' },
        ],
      },
    });
  });

  test('that there is not yet is silent and ends nothing', async () => {
    const heard = listen({ topic: 'board', board: 'later', window: 'daily' });
    const other = listen({ topic: 'pipeline' });
    await eventually('the other topic is told', () => other.length > 2);
    expect(heard).toEqual([]);
  });
});

describe('the topic of findings', () => {
  test('row 69: tells what is new in its game alone, and where a page stands that has seen none', async () => {
    await world.makeGame(`${gameId}-other`);
    const old = await find('old');
    const heard = listen({ topic: 'findings' });
    await eventually('the page knows where it stands', () => heard.length === 1);
    expect(heard).toEqual([{ id: `f.${String(old)}`, event: null }]);
    await find('theirs', `${gameId}-other`);
    const last = [await find('new-1'), await find('new-2')].at(-1);
    await eventually('it is told', () => findingsIn(heard).length === 2);
    expect(findingsIn(heard)).toEqual(['new-1', 'new-2']);
    expect(heard.at(-1)?.id).toBe(`f.${String(last)}`);
  });

  test('row 62: begins again after the last one that the page has seen', async () => {
    await find('a');
    const seen = await find('b');
    await find('c');
    const heard = listen({ topic: 'findings' }, `f.${String(seen)}`);
    await eventually('it is told', () => heard.length === 1);
    await find('d');
    await eventually('it is told', () => heard.length === 2);
    expect(findingsIn(heard)).toEqual(['c', 'd']);
  });
});

test('the topic of the pipeline tells its state again and again', async () => {
  const heard = listen({ topic: 'pipeline' });
  await eventually('it is told', () => heard.length > 0);
  expect(heard[0]).toMatchObject({ id: null, event: { type: 'pipeline', pipeline: { bus: 'postgres' } } });
});

test('what one request reads is of one moment', async () => {
  const count = 'SELECT count(*) AS count FROM suspicious_events WHERE game_id = $1';
  const counts = await world.games.read(gameId, async (sql) => {
    const before = await sql.query(count, [gameId]);
    await find('between');
    return [before, await sql.query(count, [gameId])];
  });
  expect(counts).toEqual([[{ count: 0 }], [{ count: 0 }]]);
});

describe('findings that commit out of order', () => {
  const finding = (findingId: number): Schemas['Finding'] =>
    ({ findingId, playerId: `p-${String(findingId)}` }) as Schemas['Finding'];

  test('are told each once', () => {
    const heard: SentEvent[] = [];
    const take = findingTeller(null, (sent) => void heard.push(sent));
    take([finding(3), finding(1)]);
    take([finding(3), finding(2), finding(1)]);
    take([finding(5), finding(3), finding(2)]);
    take([finding(5), finding(4), finding(3)]);
    expect(heard.map(({ id }) => id)).toEqual(['f.3', 'f.2', 'f.5', 'f.4']);
  });

  test('a page that was away for longer than is remembered is told the latest', () => {
    const heard: SentEvent[] = [];
    findingTeller('f.1', (sent) => void heard.push(sent))([finding(9), finding(8)]);
    expect(heard.map(({ id }) => id)).toEqual(['f.8', 'f.9']);
  });
});
