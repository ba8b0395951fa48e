import { Button, FileInput, Group, Stack, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState, type SubmitEvent } from 'react';
import { useLocation } from 'wouter';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { Trouble } from '../../parts/data-state.tsx';
import { Panel } from '../../parts/panel.tsx';
import { useGame } from '../../shell/game.ts';

const BYTES_MAX = 16 * 1024 * 1024;

/** Takes a recording; nothing is posted before somebody starts it. */
export function Upload() {
  const { gameId, to } = useGame();
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const [file, setFile] = useState<File | null>(null);
  const [name, setName] = useState('');
  const upload = useMutation({
    mutationFn: async (recording: File) =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/replays', {
          params: {
            path: { gameId },
            query: { name: name.trim() === '' ? recording.name.slice(0, 128) : name.trim() },
            header: OWN_PAGE,
          },
          headers: { 'Content-Type': 'application/x-ndjson' },
          body: await recording.text(),
          bodySerializer: (text) => text,
        }),
      ),
    onSuccess: async ({ jobId }) => {
      await client.invalidateQueries({ queryKey: ['replays', gameId] });
      navigate(to('replay', jobId));
    },
  });
  const isTooLarge = file !== null && file.size > BYTES_MAX;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (file !== null && !isTooLarge) upload.mutate(file);
  };
  return (
    <Panel
      title="Upload a recording"
      about="NDJSON, one event a line; at most 16 MiB and 100,000 lines. Nothing is posted yet. It is kept for 24 hours."
    >
      <form onSubmit={submit}>
        <Stack>
          <Group align="flex-start">
            <FileInput
              label="File"
              placeholder="Choose a file"
              accept=".ndjson,.jsonl,.json,.txt"
              required
              withAsterisk={false}
              clearable
              w={280}
              value={file}
              onChange={setFile}
              error={isTooLarge ? 'More than 16 MiB: cut it into parts.' : undefined}
              clearButtonProps={{ 'aria-label': 'Choose no file' }}
            />
            <TextInput
              label="Name"
              placeholder={file?.name ?? 'that of the file'}
              maxLength={128}
              w={280}
              value={name}
              onChange={(event) => setName(event.currentTarget.value)}
            />
          </Group>
          {upload.error !== null && <Trouble error={upload.error} />}
          <Group>
            <Button type="submit" disabled={file === null || isTooLarge} loading={upload.isPending}>
              Upload
            </Button>
          </Group>
        </Stack>
      </form>
    </Panel>
  );
}
