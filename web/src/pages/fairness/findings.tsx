import { useQueryClient } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { DataState } from '../../parts/data-state.tsx';
import { FindingTable } from '../../parts/finding-table.tsx';
import { LiveMark } from '../../parts/live-mark.tsx';
import { More } from '../../parts/more.tsx';
import { useLive } from '../../parts/use-live.ts';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';
import type { Finding } from './case-state.ts';

const POLL_MS = 10_000;

/** What was found, latest first. */
export function Findings() {
  const { gameId } = useGame();
  const client = useQueryClient();
  const queryKey = ['findings', gameId];
  const seeAgain = () => void client.invalidateQueries({ queryKey });
  const live = useLive(gameId, [{ topic: 'findings' }], seeAgain, seeAgain);
  const pages = usePages<Finding>(
    queryKey,
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/findings', {
          params: { path: { gameId }, query: cursor === undefined ? {} : { cursor } },
        }),
      ),
    live === 'live' ? {} : { refetchIntervalMs: POLL_MS },
  );
  return (
    <>
      <div>
        <LiveMark state={live} />
      </div>
      <DataState query={pages.list} isEmpty={(items) => items.length === 0} empty="Nothing was found.">
        {(items) => <FindingTable findings={items} withPlayers />}
      </DataState>
      <More {...pages} />
    </>
  );
}
