import { wrongParameter } from '../../http/request-problem.js';
import type { GameRoutes } from '../api/routes.js';
import { recentEvents } from './events.postgres.js';

/** What became of the last events of a player or of a key. */
export const eventRoutes = (): Pick<GameRoutes, 'listRecentEvents'> => ({
  listRecentEvents: async ({ gameId, query: { playerId, keyId, outcome }, read }) => {
    if ((playerId === undefined) === (keyId === undefined)) throw wrongParameter('playerId');
    // What was refused is not told to the archive yet.
    if (outcome === 'refused') return { status: 200, body: { items: [] } };
    const who = playerId === undefined ? { keyId: keyId ?? '' } : { playerId };
    return { status: 200, body: { items: await read((sql) => recentEvents(sql, gameId, who)) } };
  },
});
