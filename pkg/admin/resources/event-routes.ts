import { wrongParameter } from '../../http/request-problem.js';
import type { GameRoutes } from '../api/routes.js';
import type { Schemas } from './answers.js';
import { RECENT_EVENTS, recentEvents } from './events.postgres.js';
import { recentRefusals } from './refused-events.postgres.js';

/** What became of the last events of a player or of a key. */
export const eventRoutes = (): Pick<GameRoutes, 'listRecentEvents'> => ({
  listRecentEvents: async ({ gameId, query: { playerId, keyId, outcome }, read }) => {
    if ((playerId === undefined) === (keyId === undefined)) throw wrongParameter('playerId');
    const who = playerId === undefined ? { keyId: keyId ?? '' } : { playerId };
    const found = await read(async (sql) => [
      ...(outcome === 'refused' ? [] : await recentEvents(sql, gameId, who)),
      ...(outcome === 'accepted' ? [] : await recentRefusals(sql, gameId, who)),
    ]);
    return { status: 200, body: { items: found.sort(latestFirst).slice(0, RECENT_EVENTS) } };
  },
});

type Received = Pick<Schemas['RecentEvent'], 'receivedAt'>;

/** All times of the API are written alike, so that their texts compare as they do. */
const latestFirst = (a: Received, b: Received): number =>
  a.receivedAt === b.receivedAt ? 0 : a.receivedAt < b.receivedAt ? 1 : -1;
