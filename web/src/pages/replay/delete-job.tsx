import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useLocation } from 'wouter';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { Decide } from '../../parts/decide.tsx';
import { Name } from '../../parts/player-name.tsx';
import { useGame } from '../../shell/game.ts';
import type { Job } from './job-list.tsx';

/** Forgets a recording, which makes room for another. */
export function DeleteJob({ job: { jobId, name } }: { readonly job: Job }) {
  const { gameId, to } = useGame();
  const client = useQueryClient();
  const [, navigate] = useLocation();
  const [isAsking, setAsking] = useState(false);
  const remove = useMutation({
    mutationFn: () =>
      dataOf(
        api.DELETE('/admin/v1/games/{gameId}/replays/{jobId}', {
          params: { path: { gameId, jobId }, header: OWN_PAGE },
        }),
      ),
    onSuccess: () => {
      navigate(to('replay'));
      client.removeQueries({ queryKey: ['replays', gameId, jobId] });
      void client.invalidateQueries({ queryKey: ['replays', gameId], exact: true });
    },
  });
  return (
    <>
      <Button size="compact-md" color="red" variant="light" onClick={() => setAsking(true)}>
        Delete…
      </Button>
      <Decide
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        title="Delete this recording?"
        action="Delete"
        isDangerous
        isBusy={remove.isPending}
        error={remove.error}
        onDecide={() => remove.mutate()}
      >
        <Name>{name}</Name> is forgotten, and how far it came. What was counted by it stays counted.
      </Decide>
    </>
  );
}
