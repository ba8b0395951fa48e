import { Text } from '@mantine/core';
import { useInterval } from '@mantine/hooks';
import { useState } from 'react';
import { span } from '../../parts/figures.ts';
import { Moment } from '../../parts/moment.tsx';

const TICK_MS = 1_000;

/** How long until a cycle ends, second by second; a screen reader reads it when it comes by, and is not told each second. */
export function Countdown({ until }: { readonly until: string }) {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useInterval(() => setNowMs(Date.now()), TICK_MS, { autoInvoke: true });
  const leftSeconds = (new Date(until).getTime() - nowMs) / 1_000;
  return (
    <Text span inherit role="timer" aria-live="off">
      {leftSeconds > 0 ? (
        <>
          next reset in <b style={{ fontVariantNumeric: 'tabular-nums' }}>{span(leftSeconds)}</b> (
          <Moment at={until} />)
        </>
      ) : (
        'resets now'
      )}
    </Text>
  );
}
