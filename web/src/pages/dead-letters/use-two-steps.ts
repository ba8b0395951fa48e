import { useMutation, useQueryClient } from '@tanstack/react-query';
import { count } from '../../parts/figures.ts';
import { useGame } from '../../shell/game.ts';
import type { Selection } from './letter-filter.ts';

interface Decision {
  readonly dryRun: boolean;
  readonly reason: string;
  readonly select: Selection;
}

interface Counted {
  readonly letters: number;
  readonly truncated: boolean;
}

/**
 * A decision about open letters in two steps, both the same request: first a dry run that counts them, then the act.
 *
 * @param ask sends it
 * @param become what the letters would become, such as `sent`
 * @returns what `FirstCount` shows and does, and the answer of the act once there is one
 */
export function useTwoSteps<Answer extends Counted>(
  select: Selection,
  become: string,
  ask: (decision: Decision) => Promise<Answer>,
) {
  const { gameId } = useGame();
  const client = useQueryClient();
  const dryRun = useMutation({ mutationFn: (reason: string) => ask({ dryRun: true, reason, select }) });
  const act = useMutation({
    mutationFn: (reason: string) => ask({ dryRun: false, reason, select }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['letters', gameId] }),
  });
  const { data } = dryRun;
  return {
    answer: act.data,
    steps: {
      told: data === undefined ? null : `${lettersOf(data)} would be ${become}.`,
      canAct: (data?.letters ?? 0) > 0,
      isBusy: dryRun.isPending || act.isPending,
      error: act.error ?? dryRun.error,
      onCount: dryRun.mutate,
      onAct: act.mutate,
    },
  };
}

/** `12 open letters`, and that there are more than one request decides about. */
const lettersOf = ({ letters, truncated }: Counted): string =>
  `${count(letters)}${truncated ? ' and more' : ''} open ${letters === 1 ? 'letter' : 'letters'}`;
