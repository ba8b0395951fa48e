import { api, dataOf } from '../../api/client.ts';
import { ReceiptList } from '../../parts/receipt-list.tsx';
import { useGame } from '../../shell/game.ts';

/** The rewards of a player. */
export function PlayerReceipts({ playerId }: { readonly playerId: string }) {
  const { gameId } = useGame();
  return (
    <ReceiptList
      title="Receipts"
      queryKey={['player', gameId, playerId, 'receipts']}
      load={(query) =>
        dataOf(
          api.GET('/admin/v1/games/{gameId}/players/{playerId}/receipts', {
            params: { path: { gameId, playerId }, query },
          }),
        )
      }
    />
  );
}
