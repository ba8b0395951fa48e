import { api, dataOf } from '../../api/client.ts';
import { ReceiptList } from '../../parts/receipt-list.tsx';
import { useGame } from '../../shell/game.ts';

/** What was granted to anybody, newest first. */
export function NewestReceipts() {
  const { gameId } = useGame();
  return (
    <ReceiptList
      title="Newest"
      queryKey={['newest receipts', gameId]}
      load={(query) =>
        dataOf(api.GET('/admin/v1/games/{gameId}/receipts', { params: { path: { gameId }, query } }))
      }
      withPlayers
    />
  );
}
