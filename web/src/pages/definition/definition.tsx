import { Stack, Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useLocation } from 'wouter';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { DataState } from '../../parts/data-state.tsx';
import { Page } from '../../parts/page.tsx';
import { Panel } from '../../parts/panel.tsx';
import { Raw } from '../../parts/raw.tsx';
import { useQueryState } from '../../parts/use-query-state.ts';
import { useGame } from '../../shell/game.ts';
import { useThing } from '../../shell/thing.ts';
import { Compare } from './compare.tsx';
import { Edit } from './edit.tsx';
import { useSource } from './use-source.ts';
import { Versions } from './versions.tsx';

type Item = Schema<'DefinitionItem'>;

/** What the game counts: its versions, how they differ, and the next one. */
export function Definition() {
  const { gameId } = useGame();
  const versions = useQuery({
    queryKey: ['definitions', gameId],
    queryFn: () => dataOf(api.GET('/admin/v1/games/{gameId}/definitions', { params: { path: { gameId } } })),
  });
  return (
    <Page
      title="Definition"
      about="What the game counts: event types, boards, seasons, levels, rewards, fairness rules. Each version holds from its instant on."
    >
      <DataState
        query={versions}
        isEmpty={({ items }) => items.length === 0}
        empty="No version yet, and without one every event is refused. The command line applies the first."
      >
        {({ items }) => <Whole items={items} />}
      </DataState>
    </Page>
  );
}

function Whole({ items }: { readonly items: readonly Item[] }) {
  const { may, to } = useGame();
  const version = useThing();
  const [, navigate] = useLocation();
  const [{ tab = 'yaml', against }, setAddress] = useQueryState(['tab', 'against']);
  const inForce = items.find(({ state }) => state === 'in_force');
  const chosen = items.find((one) => String(one.version) === version) ?? inForce ?? items[0];
  if (chosen === undefined) return null;
  const before = Number(against ?? chosen.version - 1);
  return (
    <Stack>
      <Panel title="Versions">
        <Versions
          items={items}
          chosen={chosen.version}
          onChoose={(one) => navigate(to('definition', String(one)))}
        />
      </Panel>
      <Tabs
        value={tab}
        onChange={(next) => setAddress({ tab: next ?? undefined, against: undefined })}
        keepMounted={false}
      >
        <Tabs.List>
          <Tabs.Tab value="yaml">YAML</Tabs.Tab>
          <Tabs.Tab value="compare">Compare</Tabs.Tab>
          {may('operator') && <Tabs.Tab value="edit">Edit</Tabs.Tab>}
        </Tabs.List>
        <Tabs.Panel value="yaml" pt="md">
          <Yaml version={chosen.version} />
        </Tabs.Panel>
        <Tabs.Panel value="compare" pt="md">
          <Compare
            items={items}
            before={before}
            after={chosen.version}
            onBefore={(one) => setAddress({ against: String(one) })}
          />
        </Tabs.Panel>
        {may('operator') && (
          <Tabs.Panel value="edit" pt="md">
            <Edit newest={items[0]?.version ?? 0} from={chosen.version} />
          </Tabs.Panel>
        )}
      </Tabs>
    </Stack>
  );
}

function Yaml({ version }: { readonly version: number }) {
  const source = useSource(version);
  return (
    <Panel title={`Version ${version}`}>
      <DataState query={source} rows={10}>
        {({ source: text }) => <Raw text={text} label={`YAML of version ${version}`} height={600} />}
      </DataState>
    </Panel>
  );
}
