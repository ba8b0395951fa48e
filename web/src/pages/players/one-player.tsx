import { Alert, Badge, Button, Grid, Group, Progress, SimpleGrid, Stack, Text } from '@mantine/core';
import { IconEyeOff } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { Link } from 'wouter';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { Decide } from '../../parts/decide.tsx';
import { count } from '../../parts/figures.ts';
import { GoesTo } from '../../parts/goes-to.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Name, Said } from '../../parts/player-name.tsx';
import { visibleName } from '../../parts/visible.ts';
import { useGame } from '../../shell/game.ts';
import { PlayerCases } from './player-cases.tsx';
import { PlayerFindings } from './player-findings.tsx';
import { PlayerPlaces } from './player-places.tsx';
import { PlayerReceipts } from './player-receipts.tsx';
import { XpChart } from './xp-chart.tsx';

const POLL_MS = 5_000;

type Player = Schema<'Player'>;

/** All that is known of a player, and whether others see them. */
export function OnePlayer({ playerId }: { readonly playerId: string }) {
  const { gameId, to, may } = useGame();
  const player = useQuery({
    queryKey: ['player', gameId, playerId],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/players/{playerId}', { params: { path: { gameId, playerId } } }),
      ),
    refetchInterval: POLL_MS,
  });
  return (
    <Page
      title={<Name>{playerId}</Name>}
      windowTitle={visibleName(playerId)}
      about={<GoesTo href={to('players')}>All players</GoesTo>}
      actions={
        <Group gap="xs">
          <Button
            variant="default"
            component={Link}
            href={`${to('debugger')}?${new URLSearchParams({ player: playerId }).toString()}`}
          >
            Last events
          </Button>
          {player.data !== undefined && may('operator') && (
            <Visibility playerId={playerId} isHidden={player.data.visibility.hidden} />
          )}
        </Group>
      }
    >
      <DataState
        query={player}
        rows={8}
        missing="There is no player of this id: none of their events was archived yet. Ids are told apart by case."
      >
        {(known) => (
          <Stack gap="lg">
            {known.visibility.hidden && <Hidden visibility={known.visibility} />}
            <Facts player={known} />
            <XpChart playerId={playerId} />
            <Grid gap="lg">
              <Grid.Col span={{ base: 12, lg: 6 }}>
                <PlayerPlaces playerId={playerId} isHidden={known.visibility.hidden} />
              </Grid.Col>
              <Grid.Col span={{ base: 12, lg: 6 }}>
                <Stack gap="lg">
                  {may('analyst') && <PlayerCases playerId={playerId} />}
                  <PlayerFindings playerId={playerId} />
                </Stack>
              </Grid.Col>
            </Grid>
            <PlayerReceipts playerId={playerId} />
          </Stack>
        )}
      </DataState>
    </Page>
  );
}

function Hidden({ visibility }: { readonly visibility: Player['visibility'] }) {
  return (
    <Alert color="gray" icon={<IconEyeOff aria-hidden />} title="Hidden from every board" role="status">
      <Text size="sm" component="div">
        {visibility.reason !== null && <Said>{visibility.reason}</Said>}{' '}
        {visibility.changedBy !== null && (
          <>
            by <Name>{visibility.changedBy}</Name>
          </>
        )}{' '}
        {visibility.changedAt !== null && <Moment at={visibility.changedAt} />}. Scores go on counting
        meanwhile.
      </Text>
    </Alert>
  );
}

function Facts({ player: { profile, progress, counts, visibility } }: { readonly player: Player }) {
  return (
    <Grid gap="lg">
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Panel title="Progress">
          {progress === null ? (
            <Text c="dimmed">Nothing of this player gave XP yet.</Text>
          ) : (
            <ToNextLevel progress={progress} />
          )}
        </Panel>
      </Grid.Col>
      <Grid.Col span={{ base: 12, md: 6 }}>
        <Panel
          title="At a glance"
          aside={
            <Badge variant="light" color={visibility.hidden ? 'gray' : 'green'}>
              {visibility.hidden ? 'hidden' : 'on the boards'}
            </Badge>
          }
        >
          <SimpleGrid component="dl" cols={2} spacing="sm" m={0}>
            <Fact name="First seen">
              <Moment at={profile.firstSeenAt} />
            </Fact>
            <Fact name="Last seen">
              <Moment at={profile.lastSeenAt} />
            </Fact>
            <Fact name="Events">{count(profile.events)}</Fact>
            <Fact name="Receipts">{upTo1000(counts.receipts)}</Fact>
            <Fact name="Findings">{upTo1000(counts.findings)}</Fact>
            <Fact name="Open cases">{upTo1000(counts.openCases)}</Fact>
          </SimpleGrid>
        </Panel>
      </Grid.Col>
    </Grid>
  );
}

const COUNTED_TO = 1_000;
const upTo1000 = (value: number): string =>
  value >= COUNTED_TO ? `${count(COUNTED_TO)} or more` : count(value);

function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <div>
      <Text component="dt" size="xs" c="dimmed">
        {name}
      </Text>
      <Text component="dd" m={0} size="sm">
        {children}
      </Text>
    </div>
  );
}

const PERCENT = 100;

function ToNextLevel({ progress }: { readonly progress: Schema<'Progress'> }) {
  const { level, totalXp, levelStartsAtXp, nextLevelAtXp } = progress;
  const share =
    nextLevelAtXp === null
      ? PERCENT
      : (PERCENT * (totalXp - levelStartsAtXp)) / Math.max(1, nextLevelAtXp - levelStartsAtXp);
  return (
    <Stack gap="xs">
      <Group justify="space-between" align="baseline">
        <Text fw={700} size="xl">
          Level {count(level)}
        </Text>
        <Text c="dimmed" size="sm">
          {count(totalXp)} XP in all
        </Text>
      </Group>
      <Progress.Root size="lg">
        <Progress.Section
          value={Math.min(PERCENT, share)}
          aria-label={nextLevelAtXp === null ? 'At the highest level' : `Way to level ${count(level + 1)}`}
        />
      </Progress.Root>
      <Text size="sm">
        {nextLevelAtXp === null
          ? 'The highest level is reached.'
          : `${count(nextLevelAtXp - totalXp)} XP to level ${count(level + 1)} (from ${count(levelStartsAtXp)} to ${count(nextLevelAtXp)})`}
      </Text>
    </Stack>
  );
}

function Visibility({ playerId, isHidden }: { readonly playerId: string; readonly isHidden: boolean }) {
  const { gameId } = useGame();
  const client = useQueryClient();
  const [isAsking, setAsking] = useState(false);
  const change = useMutation({
    mutationFn: (reason: string) => {
      const request = { params: { path: { gameId, playerId }, header: OWN_PAGE }, body: { reason } };
      return dataOf(
        isHidden
          ? api.POST('/admin/v1/games/{gameId}/players/{playerId}/restore', request)
          : api.POST('/admin/v1/games/{gameId}/players/{playerId}/hide', request),
      );
    },
    onSuccess: () => {
      setAsking(false);
      void client.invalidateQueries({ queryKey: ['player', gameId, playerId] });
    },
  });
  return (
    <>
      <Button {...(isHidden ? {} : { color: 'red' })} variant="light" onClick={() => setAsking(true)}>
        {isHidden ? 'Restore' : 'Hide'}
      </Button>
      {isAsking && (
        <Decide
          isOpen
          onClose={() => setAsking(false)}
          title={isHidden ? 'Put this player back on every board?' : 'Take this player off every board?'}
          action={isHidden ? 'Restore' : 'Hide'}
          isDangerous={!isHidden}
          needsReason
          isBusy={change.isPending}
          error={change.error}
          onDecide={(reason) => change.mutate(reason)}
        >
          {isHidden ? (
            <>
              <Name>{playerId}</Name> stands again exactly where the scores are, on every board and cycle.
            </>
          ) : (
            <>
              Nobody sees <Name>{playerId}</Name> on any board or cycle, past ones too. Scores go on counting,
              and restoring brings them back exactly.
            </>
          )}
        </Decide>
      )}
    </>
  );
}
