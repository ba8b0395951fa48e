import { Text } from '@mantine/core';
import { useMemo } from 'react';
import { count } from '../../parts/figures.ts';
import { visible } from '../../parts/visible.ts';
import { diffLines, hunksOf, type DiffLine } from './line-diff.ts';
import classes from './diff-view.module.css';

const SIGNS: Record<DiffLine['kind'], string> = { same: ' ', removed: '−', added: '+' };
const WORDS: Record<DiffLine['kind'], string> = { same: '', removed: 'removed: ', added: 'added: ' };

/** How two texts differ, line by line, with a few lines around each change. */
export function DiffView({
  before,
  after,
  label,
}: {
  readonly before: string;
  readonly after: string;
  readonly label: string;
}) {
  const lines = useMemo(() => diffLines(before, after), [before, after]);
  const added = lines.filter(({ kind }) => kind === 'added').length;
  const removed = lines.filter(({ kind }) => kind === 'removed').length;
  if (added + removed === 0) return <Text c="dimmed">Not one line differs.</Text>;
  return (
    <>
      <Text size="sm" role="status">
        {count(added)} added, {count(removed)} removed
      </Text>
      <div className={classes['diff']} role="region" aria-label={label} tabIndex={0}>
        {hunksOf(lines).map((line, index) =>
          line === null ? (
            <div key={`gap ${index}`} className={classes['gap']}>
              …
            </div>
          ) : (
            <div key={`${line.before ?? '-'} ${line.after ?? '-'}`} className={classes[line.kind]}>
              <span className={classes['number']} aria-hidden>
                {line.before}
              </span>
              <span className={classes['number']} aria-hidden>
                {line.after}
              </span>
              <span aria-hidden>{SIGNS[line.kind]}</span>
              <span className={classes['text']}>
                <span className={classes['said']}>{WORDS[line.kind]}</span>
                {visible(line.text)}
              </span>
            </div>
          ),
        )}
      </div>
    </>
  );
}
