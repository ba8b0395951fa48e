import { Table, VisuallyHidden, type TableProps, type TableThProps } from '@mantine/core';
import type { ReactNode, Ref } from 'react';

/** A column by its name, with its look where that is not the usual one. Names are unlike each other. */
export type Column = string | (TableThProps & { readonly name: string });

/** A column of figures, which stand under each other. */
export const figures = (name: string): Column => ({ name, ta: 'right' });

/** A column whose name is heard and not seen: what stands in it says what it is. */
export const heard = (name: string): Column => ({
  name,
  children: <VisuallyHidden>{name}</VisuallyHidden>,
});

export interface SheetProps extends Pick<TableProps, 'verticalSpacing' | 'highlightOnHover'> {
  /** What is in it, for who does not see what stands around it. */
  readonly label: string;
  readonly columns: readonly Column[];
  /** Pixels: where there is less room, it scrolls sideways. */
  readonly minWidth: number;
  /** Pixels: what is longer scrolls below the names of the columns. */
  readonly height?: number | undefined;
  /** A stop of the tab key, where nothing in it is one: keys scroll it, too. */
  readonly isStop?: boolean;
  /** Where the rows are, for what moves them. */
  readonly body?: Ref<HTMLTableSectionElement>;
  /** The rows. */
  readonly children: ReactNode;
}

/** A table in the frame that all of them share. */
export function Sheet(props: SheetProps) {
  const { label, columns, minWidth, height, isStop = false, body = null, children, ...look } = props;
  return (
    <Table.ScrollContainer
      minWidth={minWidth}
      {...(height === undefined ? {} : { mah: height })}
      {...(isStop ? { scrollAreaProps: { viewportProps: { tabIndex: 0 } } } : {})}
    >
      <Table aria-label={label} stickyHeader={height !== undefined} {...look}>
        <Table.Thead>
          <Table.Tr>{columns.map(headOf)}</Table.Tr>
        </Table.Thead>
        <Table.Tbody ref={body}>{children}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function headOf(column: Column) {
  const { name, ...look } = typeof column === 'string' ? { name: column } : column;
  return (
    <Table.Th key={name} {...look}>
      {look.children ?? name}
    </Table.Th>
  );
}
