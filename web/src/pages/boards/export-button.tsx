import { Button } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { api, dataOf } from '../../api/client.ts';
import { notify } from '../../parts/notify.ts';
import { useGame } from '../../shell/game.ts';
import { queryOf, type BoardChoice } from './board-state.ts';

/** The board that is looked at as a file of CSV. Fetched, not linked: the access token is no part of an address. */
export function ExportButton({ choice }: { readonly choice: BoardChoice }) {
  const { gameId } = useGame();
  const { board } = choice.board;
  const download = useMutation({
    mutationFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/boards/{board}/export', {
          params: { path: { gameId, board }, query: queryOf(choice) },
          parseAs: 'blob',
        }),
      ),
    onSuccess: (csv) => save(csv, fileName(gameId, choice)),
    onError: (error) => notify({ color: 'red', title: 'No file was made', message: error.message }),
  });
  return (
    <Button
      variant="default"
      leftSection={<IconDownload size={16} aria-hidden />}
      loading={download.isPending}
      onClick={() => download.mutate()}
    >
      CSV
    </Button>
  );
}

const fileName = (gameId: string, { board, window, cycle, partition, isRevised }: BoardChoice): string => {
  const parts = [
    gameId,
    board.board,
    window.window,
    cycle ?? window.cycle,
    partition,
    isRevised ? 'revised' : undefined,
  ];
  return `${parts
    .filter((part) => part !== undefined)
    .join('-')
    .replaceAll(/[^\w.-]+/g, '_')}.csv`;
};

function save(file: Blob, name: string): void {
  const address = URL.createObjectURL(file);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  // The browser has begun to read it by then; kept for ever, it would fill the memory of the page.
  window.setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
