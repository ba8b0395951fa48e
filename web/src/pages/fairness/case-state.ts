import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { api, dataOf, OWN_PAGE } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { useGame } from '../../shell/game.ts';

export type Case = Schema<'Case'>;
export type CaseDetail = Schema<'CaseDetail'>;
export type Finding = Schema<'Finding'>;

export const CASE_STATES = ['open', 'cheat', 'clean', 'reversed'] as const;

const POLL_MS = 10_000;

/** A case with its findings and its story. */
export function useCase(caseId: number) {
  const { gameId } = useGame();
  return useQuery({
    queryKey: ['case', gameId, caseId],
    queryFn: () =>
      dataOf(api.GET('/admin/v1/games/{gameId}/cases/{caseId}', { params: { path: { gameId, caseId } } })),
    refetchInterval: POLL_MS,
  });
}

/** What can be decided about a case. Each brings the case, the queue and the player up to date. */
export function useDecisions(caseId: number) {
  const { gameId } = useGame();
  const client = useQueryClient();
  const params = { path: { gameId, caseId }, header: OWN_PAGE };
  const onSuccess = async () => {
    await Promise.all(
      ['case', 'cases', 'player', 'pipeline'].map((name) =>
        client.invalidateQueries({ queryKey: [name, gameId] }),
      ),
    );
  };
  return {
    judge: useMutation({
      mutationFn: (body: Schema<'CaseVerdict'>) =>
        dataOf(api.POST('/admin/v1/games/{gameId}/cases/{caseId}/verdict', { params, body })),
      onSuccess,
    }),
    reverse: useMutation({
      mutationFn: (reason: string) =>
        dataOf(api.POST('/admin/v1/games/{gameId}/cases/{caseId}/reverse', { params, body: { reason } })),
      onSuccess,
    }),
    assign: useMutation({
      mutationFn: (userId: string | null) =>
        dataOf(api.POST('/admin/v1/games/{gameId}/cases/{caseId}/assign', { params, body: { userId } })),
      onSuccess,
    }),
    note: useMutation({
      mutationFn: (text: string) =>
        dataOf(api.POST('/admin/v1/games/{gameId}/cases/{caseId}/notes', { params, body: { text } })),
      onSuccess,
    }),
  };
}
