import { Table } from '@mantine/core';

/** The names of a table's columns. */
export function Heads({ names }: { readonly names: readonly string[] }) {
  return names.map((name) => <Table.Th key={name}>{name}</Table.Th>);
}
