import type { DefinitionSource } from '../../games/port.js';
import type { Clock } from '../../kernel/clock.js';
import type { Sql } from '../../postgres/port.js';
import type { SignedInRoutes } from '../api/routes.js';
import type { GameRole } from '../port.js';

export interface GameListParts {
  /** Acts as the role of the API, in no game. */
  readonly apiDb: Sql;
  readonly definitions: Pick<DefinitionSource, 'inForce'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** The games in which somebody has a role: the one list that is of no game. */
export const gameListRoutes = ({
  apiDb,
  definitions,
  clock,
}: GameListParts): Pick<SignedInRoutes, 'listGames'> => ({
  listGames: async ({ person }) => {
    const rows = await apiDb.query<{ gameId: string; role: GameRole }>(
      'SELECT game_id AS "gameId", role FROM admin_games_of($1)',
      [person.userId],
    );
    const items = [];
    for (const { gameId, role } of rows) {
      const definition = await definitions.inForce(gameId, clock.now());
      items.push({ gameId, role, definitionVersion: definition?.version ?? null });
    }
    return { status: 200, body: { items } };
  },
});
