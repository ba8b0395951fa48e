import { Group, List, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { CaseState } from '../../parts/case-state.tsx';
import { DataState } from '../../parts/data-state.tsx';
import { count, decimal } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Panel } from '../../parts/panel.tsx';
import { useGame } from '../../shell/game.ts';

const POLL_MS = 15_000;
const CASES = 50;

/** The cases about a player, whatever became of them. */
export function PlayerCases({ playerId }: { readonly playerId: string }) {
  const { gameId, to } = useGame();
  const cases = useQuery({
    queryKey: ['player', gameId, playerId, 'cases'],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/cases', {
          params: { path: { gameId }, query: { playerId, limit: CASES } },
        }),
      ),
    refetchInterval: POLL_MS,
  });
  return (
    <Panel title="Cases">
      <DataState
        query={cases}
        rows={2}
        isEmpty={({ items }) => items.length === 0}
        empty="No case was opened."
      >
        {({ items }) => (
          <List listStyleType="none" spacing="xs" aria-label="Cases">
            {items.map((one) => (
              <List.Item key={one.caseId}>
                <Group gap="xs">
                  <CaseState state={one.state} />
                  <GoesTo href={to('fairness', String(one.caseId))}>{one.metric}</GoesTo>
                  <Text size="sm" c="dimmed">
                    {count(one.findings)} {one.findings === 1 ? 'finding' : 'findings'}, the farthest at z{' '}
                    {decimal(one.maxAbsZ)}
                  </Text>
                </Group>
              </List.Item>
            ))}
          </List>
        )}
      </DataState>
    </Panel>
  );
}
