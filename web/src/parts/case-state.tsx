import { Badge } from '@mantine/core';
import type { Schema } from '../api/schema.ts';

const COLORS: Record<Schema<'CaseState'>, string> = {
  open: 'blue',
  cheat: 'red',
  clean: 'green',
  reversed: 'gray',
};

/** What became of a case. */
export function CaseState({ state }: { readonly state: Schema<'CaseState'> }) {
  return (
    <Badge variant="light" color={COLORS[state]}>
      {state}
    </Badge>
  );
}
