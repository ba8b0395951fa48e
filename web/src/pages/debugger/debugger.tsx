import { Button, Group, SegmentedControl, Switch, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { api, dataOf } from '../../api/client.ts';
import { DataState, Nothing } from '../../parts/data-state.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Page } from '../../parts/page.tsx';
import { Panel } from '../../parts/panel.tsx';
import { useQueryState } from '../../parts/use-query-state.ts';
import { useGame } from '../../shell/game.ts';
import { EventTable } from './event-table.tsx';
import { useFirstKey } from './use-first-key.ts';

const LOOK_MS = 3_000;
const OUTCOMES = [
  { value: 'all', label: 'All' },
  { value: 'accepted', label: 'Accepted' },
  { value: 'refused', label: 'Refused' },
] as const;
type Outcome = (typeof OUTCOMES)[number]['value'];
type Of = 'player' | 'key';

/** The last events of a player or a key, refused ones and why included: what a client really sends. */
export function Debugger() {
  const [address, setAddress] = useQueryState(['player', 'key', 'outcome']);
  const firstKey = useFirstKey(address.player === undefined && address.key === undefined);
  const of: Of = address.player === undefined ? 'key' : 'player';
  const id = address.player ?? address.key ?? firstKey ?? '';
  const outcome = OUTCOMES.find(({ value }) => value === address.outcome)?.value ?? 'all';
  return (
    <Page
      title="Event debugger"
      about="The last 100 events of a player or of a key, newest first. Refused ones are told as far as they could be, for 14 days."
    >
      <Asked
        key={`${of} ${id}`}
        of={of}
        id={id}
        onAsk={(next) => setAddress({ player: undefined, key: undefined, ...next })}
      />
      {id === '' ? (
        <Nothing>Name a player or a signing key, and see what came of its last events.</Nothing>
      ) : (
        <Recent of={of} id={id} outcome={outcome} onOutcome={(value) => setAddress({ outcome: value })} />
      )}
    </Page>
  );
}

function Asked(props: {
  readonly of: Of;
  readonly id: string;
  readonly onAsk: (asked: { readonly player?: string; readonly key?: string }) => void;
}) {
  const [of, setOf] = useState(props.of);
  const [id, setId] = useState(props.id);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    props.onAsk(of === 'player' ? { player: id } : { key: id.trim() });
  };
  return (
    <form onSubmit={submit}>
      <Group align="flex-end">
        <SegmentedControl
          aria-label="Whose events"
          data={[
            { value: 'player', label: 'Player' },
            { value: 'key', label: 'Key' },
          ]}
          value={of}
          onChange={setOf}
        />
        <TextInput
          label={of === 'player' ? 'Player id' : 'Key id'}
          required
          withAsterisk={false}
          dir="auto"
          flex={1}
          maw={360}
          {...(of === 'key' ? { pattern: '\\s*[A-Za-z0-9_\\-]{1,64}\\s*' } : {})}
          value={id}
          onChange={(event) => setId(event.currentTarget.value)}
        />
        <Button type="submit">Show its events</Button>
      </Group>
    </form>
  );
}

function Recent(props: {
  readonly of: Of;
  readonly id: string;
  readonly outcome: Outcome;
  readonly onOutcome: (outcome: Outcome | undefined) => void;
}) {
  const { gameId } = useGame();
  const { of, id, outcome, onOutcome } = props;
  const [isWatching, setWatching] = useState(true);
  const events = useQuery({
    queryKey: ['events', gameId, of, id, outcome],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/events', {
          params: {
            path: { gameId },
            query: {
              ...(of === 'player' ? { playerId: id } : { keyId: id }),
              ...(outcome === 'all' ? {} : { outcome }),
            },
          },
        }),
      ),
    refetchInterval: ({ state }) => (isWatching && state.error === null ? LOOK_MS : false),
  });
  return (
    <Panel
      title="Events"
      about={
        events.dataUpdatedAt > 0 && (
          <>
            As of <Moment at={events.dataUpdatedAt} />
          </>
        )
      }
      aside={
        <Group>
          <SegmentedControl
            aria-label="Which events"
            size="xs"
            data={[...OUTCOMES]}
            value={outcome}
            onChange={(value) => onOutcome(value === 'all' ? undefined : value)}
          />
          <Switch
            label="Keep looking"
            checked={isWatching}
            onChange={(event) => setWatching(event.currentTarget.checked)}
          />
        </Group>
      }
    >
      <DataState
        query={events}
        isEmpty={({ items }) => items.length === 0}
        empty={
          isWatching
            ? 'No event yet. Post one: it shows here within seconds.'
            : 'No event. Post one, and look again.'
        }
      >
        {({ items }) => <EventTable events={items} />}
      </DataState>
    </Panel>
  );
}
