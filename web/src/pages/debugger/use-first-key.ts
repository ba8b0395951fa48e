import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { useGame } from '../../shell/game.ts';

/** The key that was used last, for a page that nobody has asked anything yet; undefined for who may not see the keys. */
export function useFirstKey(isNeeded: boolean): string | undefined {
  const { gameId, may } = useGame();
  const keys = useQuery({
    queryKey: ['keys', gameId],
    queryFn: () => dataOf(api.GET('/admin/v1/games/{gameId}/keys', { params: { path: { gameId } } })),
    enabled: isNeeded && may('admin'),
  });
  return keys.data?.items.toSorted((a, b) => (b.lastUsedAt ?? '').localeCompare(a.lastUsedAt ?? ''))[0]
    ?.keyId;
}
