import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { FindingTable } from '../../parts/finding-table.tsx';
import { More } from '../../parts/more.tsx';
import { Panel } from '../../parts/panel.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';

const POLL_MS = 15_000;
const ROWS = 200;
const SHOWN = 10;
const ROW_PX = 42;

/** What was found about a player, latest first; the same answer for whoever asks on one page. */
export function useFindings(playerId: string) {
  const { gameId } = useGame();
  return usePages<Schema<'Finding'>>(
    ['player', gameId, playerId, 'findings'],
    (cursor) =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/players/{playerId}/findings', {
          params: {
            path: { gameId, playerId },
            query: { limit: ROWS, ...(cursor === undefined ? {} : { cursor }) },
          },
        }),
      ),
    { refetchIntervalMs: POLL_MS },
  );
}

export function PlayerFindings({ playerId }: { readonly playerId: string }) {
  const findings = useFindings(playerId);
  return (
    <Panel title="Findings" about="Events that do not fit what this player did before.">
      <DataState query={findings.list} isEmpty={(items) => items.length === 0} empty="Nothing was found.">
        {(items) => <FindingTable findings={items} height={SHOWN * ROW_PX} />}
      </DataState>
      <More {...findings} />
    </Panel>
  );
}
