import { systemClock as clock } from '../pkg/kernel/clock.js';
import { encodePlace } from '../pkg/query/cursor.js';
import { FINAL_CYCLE, playerOf, RARE_KEY, receiptOf, REGULARS, type GameSize } from './admin-rows.js';

/** What the reads of a game are about. */
export interface Subjects extends GameSize {
  /** Places all over the board. */
  readonly places: Parameters<typeof encodePlace>[0][];
  readonly findingIds: readonly number[];
  readonly caseIds: readonly number[];
  readonly letterIds: readonly number[];
}

export interface Read {
  /** The page of the dashboard that asks it. */
  readonly page: string;
  readonly name: string;
  /** The path of the n-th request. */
  readonly path: (subjects: Subjects, n: number) => string;
}

const nth = <T>(items: readonly T[], n: number): T => {
  const item = items[n % items.length];
  if (item === undefined) throw new Error('a read of the bench has nothing to ask for');
  return item;
};
/** Anybody, far apart from the one before. */
const anyone = ({ players }: Subjects, n: number): string => playerOf(((n * 104_729) % players) + 1);
const regular = (n: number): string => playerOf((n % REGULARS) + 1);
const cursor = ({ places }: Subjects, n: number): string => encodePlace(nth(places, n));
const daysAgo = (days: number): string => new Date(clock.now() - days * 86_400_000).toISOString();
const FINAL = `window=seasonal&cycle=${FINAL_CYCLE}`;

const of = (page: string, reads: Readonly<Record<string, Read['path']>>): Read[] =>
  Object.entries(reads).map(([name, path]) => ({ page, name, path }));

const BOARD = '/boards/xp?window=all-time&limit=50';

/** Boards as they are now: what stands in Redis, and is read from PostgreSQL while that is away. */
export const LIVE_BOARD: readonly Read[] = of('Leaderboards', {
  'first page': () => BOARD,
  'page by cursor': (subjects, n) => `${BOARD}&cursor=${cursor(subjects, n)}`,
  'around a player': (subjects, n) => `/boards/xp?window=all-time&around=${anyone(subjects, n)}`,
  'one player': (subjects, n) => `/boards/xp?window=all-time&subject=${anyone(subjects, n)}`,
});

const PAST_BOARDS: readonly Read[] = of('Leaderboards, a final cycle', {
  'first page': () => `/boards/xp?${FINAL}&limit=50`,
  'page by cursor': (subjects, n) => `/boards/xp?${FINAL}&limit=50&cursor=${cursor(subjects, n)}`,
  'around a player': (subjects, n) => `/boards/xp?${FINAL}&around=${anyone(subjects, n)}`,
  'one player': (subjects, n) => `/boards/xp?${FINAL}&subject=${anyone(subjects, n)}`,
});

/** Every list and sheet that a page of the dashboard begins with. Paths stand below the game. */
export const ADMIN_READS: readonly Read[] = [
  ...LIVE_BOARD,
  ...PAST_BOARDS,
  ...of('Leaderboards, lists', {
    boards: () => '/boards',
    'past cycles': () => '/boards/xp/cycles',
    partitions: (_, n) => `/boards/boss-time/partitions?window=all-time&prefix=boss-0${String(n % 5)}`,
  }),
  ...of('Player search', {
    'nothing typed': () => '/players',
    'two letters': (subjects, n) => `/players?prefix=${anyone(subjects, n).slice(0, 4)}`,
    'a whole id': (subjects, n) => `/players?prefix=${anyone(subjects, n)}`,
    'page by cursor': (subjects, n) =>
      `/players?prefix=p-&cursor=${Buffer.from(JSON.stringify([anyone(subjects, n), ''])).toString('base64url')}`,
  }),
  ...of('Player', {
    sheet: (_, n) => `/players/${regular(n)}`,
    'sheet of anybody': (subjects, n) => `/players/${anyone(subjects, n)}`,
    'XP history': (_, n) => `/players/${regular(n)}/xp`,
    'XP by day': (_, n) => `/players/${regular(n)}/xp/series`,
    receipts: (_, n) => `/players/${regular(n)}/receipts`,
    findings: (_, n) => `/players/${regular(n)}/findings`,
    'places on boards': (_, n) => `/players/${regular(n)}/boards`,
  }),
  ...of('Fairness', {
    'open cases': () => '/cases?state=open',
    'cases of a rare metric': () => '/cases?metric=boss-speed',
    'a case': (subjects, n) => `/cases/${String(nth(subjects.caseIds, n))}`,
    findings: () => '/findings',
    'findings of a metric': () => '/findings?metric=boss-speed',
    evidence: (subjects, n) => `/findings/${String(nth(subjects.findingIds, n))}/evidence`,
  }),
  ...of('Event debugger', {
    'of a player': (_, n) => `/events?playerId=${regular(n)}`,
    'of a busy key': () => '/events?keyId=busy',
    'of a rare key': () => `/events?keyId=${RARE_KEY}`,
    'of a key without events': () => '/events?keyId=nobody',
  }),
  ...of('Receipts', {
    'by id': ({ rows }, n) => `/receipts/${receiptOf(((n * 7_919) % rows) + 1)}`,
    newest: () => '/receipts',
    revoked: () => '/revoked-receipts',
  }),
  ...of('Dead letters', {
    open: () => '/dead-letters?state=open',
    'of a role without any': () => '/dead-letters?role=archive',
    'by a rare reason': () => '/dead-letters?reason=crash_loop',
    'of a player': (_, n) => `/dead-letters?playerId=${playerOf((n % 997) + 1)}`,
    tally: () => '/dead-letters/tally',
    'a letter': (subjects, n) => `/dead-letters/${String(nth(subjects.letterIds, n))}`,
  }),
  ...of('Overview', {
    pipeline: () => '/pipeline',
    'last day': () => '/pipeline/series',
  }),
  ...of('Audit', {
    latest: () => '/audit',
    'of a rare person': () => '/audit?actor=rare',
    'of a subject': (_, n) => `/audit?subject=player%20${playerOf((n % 997) + 1)}`,
    'before a day': () => `/audit?before=${daysAgo(10)}`,
    'is it whole': () => '/audit/verify',
  }),
  ...of('Settings', {
    game: () => '',
    definitions: () => '/definitions',
    keys: () => '/keys',
    users: () => '/users',
    replays: () => '/replays',
  }),
];

/** Of the gateway, whole targets. All are signed. */
export const GATEWAY_READS: readonly Read[] = of('Gateway', {
  'first page': () => '/v1/leaderboards/xp?window=all-time',
  'page by cursor': (subjects, n) => `/v1/leaderboards/xp?window=all-time&cursor=${cursor(subjects, n)}`,
  'around a player': (subjects, n) => `/v1/leaderboards/xp?window=all-time&around=${anyone(subjects, n)}`,
  '100 players': (subjects, n) =>
    `/v1/leaderboards/xp?window=all-time&players=${Array.from({ length: 100 }, (_, i) => anyone(subjects, n * 100 + i)).join(',')}`,
  'a final cycle, by cursor': (subjects, n) => `/v1/leaderboards/xp?${FINAL}&cursor=${cursor(subjects, n)}`,
  'rank of a player': (subjects, n) => `/v1/players/${anyone(subjects, n)}/rank?board=xp&window=all-time`,
  'progress of a player': (subjects, n) => `/v1/players/${anyone(subjects, n)}/progress`,
  'receipts of a player': (_, n) => `/v1/players/${regular(n)}/receipts`,
});
