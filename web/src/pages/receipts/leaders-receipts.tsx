import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { Name } from '../../parts/player-name.tsx';
import { useGame } from '../../shell/game.ts';
import { PlayerReceipts } from '../players/player-receipts.tsx';

const SLOW_MS = 60_000;

/** The receipts of who leads the first board, for a start; nothing where nobody leads. */
export function LeadersReceipts() {
  const { gameId } = useGame();
  const leader = useQuery({
    queryKey: ['leader', gameId],
    queryFn: async () => {
      const { items } = await dataOf(
        api.GET('/admin/v1/games/{gameId}/boards', { params: { path: { gameId } } }),
      );
      const board = items.find(({ subject, partition }) => subject === null && partition === null);
      const window = board?.windows.at(-1)?.window;
      if (board === undefined || window === undefined) return null;
      const { items: rows } = await dataOf(
        api.GET('/admin/v1/games/{gameId}/boards/{board}', {
          params: { path: { gameId, board: board.board }, query: { window, limit: 1 } },
        }),
      );
      const [first] = rows;
      return first === undefined ? null : { board: board.board, playerId: first.subject };
    },
    staleTime: SLOW_MS,
  });
  const { data } = leader;
  if (data === undefined || data === null) return null;
  return (
    <PlayerReceipts
      playerId={data.playerId}
      title={
        <>
          Receipts of <Name>{data.playerId}</Name>, who leads {data.board}
        </>
      }
    />
  );
}
