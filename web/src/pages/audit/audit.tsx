import { Alert, Button, Code, Group, Stack, Table, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconShieldCheck, IconShieldX } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { count } from '../../parts/figures.ts';
import { Listing } from '../../parts/listing.tsx';
import { Moment } from '../../parts/moment.tsx';
import { Name, Said } from '../../parts/player-name.tsx';
import { Page } from '../../parts/page.tsx';
import { usePages } from '../../parts/use-pages.ts';
import { useGame } from '../../shell/game.ts';

type Entry = Schema<'AuditEntry'>;

/** What was done by whom, each entry chained to the one before by its hash. */
export function Audit() {
  const { gameId } = useGame();
  const [actor, setActor] = useState('');
  const [subject, setSubject] = useState('');
  const [filter] = useDebouncedValue({ actor: actor.trim(), subject: subject.trim() }, 300);
  const pages = usePages<Entry>(['audit', gameId, filter], (cursor) =>
    dataOf(
      api.GET('/admin/v1/games/{gameId}/audit', {
        params: {
          path: { gameId },
          query: {
            ...(filter.actor === '' ? {} : { actor: filter.actor }),
            ...(filter.subject === '' ? {} : { subject: filter.subject }),
            ...(cursor === undefined ? {} : { cursor }),
          },
        },
      }),
    ),
  );
  return (
    <Page
      title="Audit log"
      about="What was done by whom. Nothing here can be changed or removed; the chain of hashes shows it."
    >
      <Verification />
      <Group align="flex-end">
        <TextInput label="Done by" value={actor} onChange={(event) => setActor(event.currentTarget.value)} />
        <TextInput
          label="Done to"
          value={subject}
          onChange={(event) => setSubject(event.currentTarget.value)}
        />
      </Group>
      <Listing
        pages={pages}
        empty={
          filter.actor === '' && filter.subject === ''
            ? 'Nobody changed anything yet. Whoever makes a key, judges a case, applies a definition or hides a player will stand here, with the reason.'
            : 'Nothing was done that fits.'
        }

        label="Audit log"
        columns={['#', 'When', 'Who', 'What', 'To', 'Why and how']}
        minWidth={760}
        verticalSpacing="sm"
        row={(entry) => (
          <Table.Tr key={entry.seq}>
            <Table.Td c="dimmed">{entry.seq}</Table.Td>
            <Table.Td>
              <Moment at={entry.at} />
            </Table.Td>
            <Table.Td>
              <Name>{entry.actor}</Name>
            </Table.Td>
            <Table.Td>
              <Code>{entry.action}</Code>
            </Table.Td>
            <Table.Td>
              <Name>{entry.subject}</Name>
            </Table.Td>
            <Table.Td>
              {entry.reason !== null && (
                <Text size="sm">
                  <Said>{entry.reason}</Said>
                </Text>
              )}
              {Object.entries(entry.details).map(([name, value]) => (
                <Text key={name} size="xs" c="dimmed">
                  {name}: <Name>{String(value)}</Name>
                </Text>
              ))}
            </Table.Td>
          </Table.Tr>
        )}
      />
    </Page>
  );
}

/** Recounts the chain in pages, and says where it breaks. */
function Verification() {
  const { gameId } = useGame();
  const verify = useMutation({
    mutationFn: async () => {
      let checked = 0;
      let from: { afterSeq: number; afterHash: string } | undefined;
      for (;;) {
        const page = await dataOf(
          api.GET('/admin/v1/games/{gameId}/audit/verify', {
            params: { path: { gameId }, query: { ...from } },
          }),
        );
        checked += page.checked;
        if (!page.isWhole || page.isComplete || page.lastHash === null) return { ...page, checked };
        from = { afterSeq: page.lastSeq, afterHash: page.lastHash };
      }
    },
  });
  const { data } = verify;
  return (
    <Stack gap="xs" align="flex-start">
      <Button variant="default" loading={verify.isPending} onClick={() => verify.mutate()}>
        Check the chain
      </Button>
      {verify.error !== null && <Trouble error={verify.error} />}
      {data?.isWhole === true && (
        <Alert color="green" icon={<IconShieldCheck aria-hidden />} role="status">
          The chain is whole: {count(data.checked)} entries. Keep the last hash elsewhere, and a log that was
          cut short shows, too: <Code>{data.lastHash}</Code>
        </Alert>
      )}
      {data?.isWhole === false && (
        <Alert color="red" icon={<IconShieldX aria-hidden />} role="alert">
          The chain breaks at entry {data.brokenAtSeq}: it, or one before it, is not what was written.
        </Alert>
      )}
    </Stack>
  );
}
