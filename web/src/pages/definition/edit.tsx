import { Button, Group, Stack, Textarea, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { DataState, Trouble } from '../../parts/data-state.tsx';
import { Panel } from '../../parts/panel.tsx';
import { useGame } from '../../shell/game.ts';
import { Apply, type Proposal } from './apply.tsx';
import { PlanView } from './plan-view.tsx';
import { useSource } from './use-source.ts';

const BYTES_MAX = 262_144;

/** The next version, begun from another: what it would change is told before anything is applied. */
export function Edit({ newest, from }: { readonly newest: number; readonly from: number }) {
  const source = useSource(from);
  return (
    <DataState query={source} rows={10}>
      {(data) => <Draft key={from} newest={newest} from={from} begin={data.source} />}
    </DataState>
  );
}

function Draft({
  newest,
  from,
  begin,
}: {
  readonly newest: number;
  readonly from: number;
  readonly begin: string;
}) {
  const { gameId, may } = useGame();
  const [text, setText] = useState(begin);
  const [start, setStart] = useState('');
  const [isApplying, setApplying] = useState(false);
  const plan = useMutation({
    mutationFn: async (proposal: Proposal) => ({
      proposal,
      told: await dataOf(
        api.POST('/admin/v1/games/{gameId}/definitions/plan', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: proposal,
        }),
      ),
    }),
  });
  const proposal = proposalOf(text, start, newest);
  // A plan speaks of one text and one instant; after a change of either there is none.
  const planned =
    plan.data !== undefined &&
    plan.data.proposal.source === proposal.source &&
    plan.data.proposal.effectiveFrom === proposal.effectiveFrom
      ? plan.data.told
      : null;
  return (
    <Panel
      title="The next version"
      about={`Begun from version ${from}. Plan it first: the plan says what changes and what stands against it.`}
    >
      <Stack>
        <Textarea
          label="YAML"
          autosize
          minRows={12}
          maxRows={28}
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 13 } }}
          error={
            new TextEncoder().encode(text).length > BYTES_MAX ? 'More than 256 KiB are refused.' : undefined
          }
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <TextInput
          type="datetime-local"
          label="Holds from"
          description="In your zone. Empty: from the moment it is applied."
          maw={280}
          value={start}
          onChange={(event) => setStart(event.currentTarget.value)}
        />
        <Group>
          <Button
            variant="default"
            loading={plan.isPending}
            disabled={text.trim() === ''}
            onClick={() => plan.mutate(proposal)}
          >
            Plan it
          </Button>
          {may('admin') && (
            <Button disabled={planned?.canApply !== true} onClick={() => setApplying(true)}>
              Apply…
            </Button>
          )}
          {text !== begin && (
            <Button variant="subtle" color="gray" onClick={() => setText(begin)}>
              Begin again
            </Button>
          )}
        </Group>
        {plan.error !== null && <Trouble error={plan.error} />}
        {planned !== null && <PlanView plan={planned} source={text} />}
        {isApplying && <Apply proposal={proposal} onClose={() => setApplying(false)} />}
      </Stack>
    </Panel>
  );
}

const proposalOf = (source: string, start: string, expectedVersion: number): Proposal => ({
  source,
  expectedVersion,
  ...(Number.isNaN(Date.parse(start)) ? {} : { effectiveFrom: new Date(start).toISOString() }),
});
