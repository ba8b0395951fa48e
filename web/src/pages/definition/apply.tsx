import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useLocation } from 'wouter';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import { Decide } from '../../parts/decide.tsx';
import { notify } from '../../parts/notify.ts';
import { useGame } from '../../shell/game.ts';

export interface Proposal {
  readonly source: string;
  readonly expectedVersion: number;
  readonly effectiveFrom?: string;
}

/** Makes a planned text the next version. */
export function Apply({ proposal, onClose }: { readonly proposal: Proposal; readonly onClose: () => void }) {
  const { gameId, to } = useGame();
  const [, navigate] = useLocation();
  const client = useQueryClient();
  const apply = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST('/admin/v1/games/{gameId}/definitions', {
          params: { path: { gameId }, header: OWN_PAGE },
          body: proposal,
        }),
      ),
    onSuccess: async ({ version }) => {
      notify({ message: `Version ${version} is applied.`, color: 'green' });
      await client.invalidateQueries({ queryKey: ['definitions', gameId] });
      onClose();
      navigate(to('definition', String(version)));
    },
  });
  return (
    <Decide
      isOpen
      onClose={onClose}
      title={`Apply as version ${proposal.expectedVersion + 1}?`}
      action="Apply"
      isBusy={apply.isPending}
      error={apply.error}
      onDecide={() => apply.mutate()}
    >
      Every gateway and worker goes by it within seconds of its instant. What was counted stays counted as it
      was. A version is never taken back; another one can follow it. If somebody applied a version meanwhile,
      this is refused.
    </Decide>
  );
}
