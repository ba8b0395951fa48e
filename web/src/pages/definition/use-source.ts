import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { useGame } from '../../shell/game.ts';

/** One version with its YAML, which never changes. 0 is no version: nothing is asked. */
export function useSource(version: number) {
  const { gameId } = useGame();
  return useQuery({
    queryKey: ['definition', gameId, version],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/definitions/{version}', { params: { path: { gameId, version } } }),
      ),
    enabled: version > 0,
    staleTime: Infinity,
  });
}
