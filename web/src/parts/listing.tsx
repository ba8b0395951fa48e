import type { ReactNode } from 'react';
import { DataState } from './data-state.tsx';
import { More } from './more.tsx';
import { Sheet, type SheetProps } from './sheet.tsx';
import type { usePages } from './use-pages.ts';

export interface ListingProps<Item> extends Omit<SheetProps, 'children'> {
  readonly pages: ReturnType<typeof usePages<Item>>;
  /** Said where nothing is listed. */
  readonly empty: ReactNode;
  /** That nothing is listed is good news. */
  readonly isEmptyGood?: boolean;
  /** One row, with its key. */
  readonly row: (item: Item) => ReactNode;
}

/** A list that comes in pages, as a table: loading, empty or broken it has its look, and the next page is asked for below. */
export function Listing<Item>({ pages, empty, isEmptyGood = false, row, ...sheet }: ListingProps<Item>) {
  return (
    <>
      <DataState
        query={pages.list}
        isEmpty={(items) => items.length === 0}
        isEmptyGood={isEmptyGood}
        empty={empty}
      >
        {(items) => <Sheet {...sheet}>{items.map((item) => row(item))}</Sheet>}
      </DataState>
      <More {...pages} />
    </>
  );
}
