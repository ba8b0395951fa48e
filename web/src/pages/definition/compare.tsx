import { Select } from '@mantine/core';
import type { Schema } from '../../api/schema.ts';
import { DataState, Nothing } from '../../parts/data-state.tsx';
import { Panel } from '../../parts/panel.tsx';
import { DiffView } from './diff-view.tsx';
import { useSource } from './use-source.ts';

/** What one version changed against another. */
export function Compare(props: {
  readonly items: readonly Schema<'DefinitionItem'>[];
  readonly before: number;
  readonly after: number;
  readonly onBefore: (version: number) => void;
}) {
  const { items, before, after, onBefore } = props;
  const others = items.filter(({ version }) => version !== after);
  const old = useSource(others.some(({ version }) => version === before) ? before : 0);
  const now = useSource(after);
  if (others.length === 0) return <Nothing>There is one version only: nothing to compare it with.</Nothing>;
  return (
    <Panel
      title={`Version ${after} against another`}
      aside={
        <Select
          aria-label="Against version"
          w={160}
          allowDeselect={false}
          placeholder="Choose a version"
          data={others.map(({ version }) => ({ value: String(version), label: `version ${version}` }))}
          value={others.some(({ version }) => version === before) ? String(before) : null}
          onChange={(version) => version !== null && onBefore(Number(version))}
        />
      }
    >
      {others.some(({ version }) => version === before) && (
        <DataState query={old} rows={8}>
          {({ source: oldText }) => (
            <DataState query={now} rows={8}>
              {({ source }) => (
                <DiffView
                  before={oldText}
                  after={source}
                  label={`How version ${after} differs from version ${before}`}
                />
              )}
            </DataState>
          )}
        </DataState>
      )}
    </Panel>
  );
}
