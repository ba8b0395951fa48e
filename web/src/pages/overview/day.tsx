import { Box, Button, SimpleGrid } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ChartConfiguration } from 'chart.js';
import { useCallback, useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Chart, type ChartColors } from '../../parts/chart.tsx';
import { DataState } from '../../parts/data-state.tsx';
import { compact, count, decimal, span } from '../../parts/figures.ts';
import { Panel } from '../../parts/panel.tsx';
import { useGame } from '../../shell/game.ts';

type Point = Schema<'SeriesPoint'>;

const POLL_MS = 20_000;
const SPANS = [
  { value: '1', label: '1 h', stepSeconds: 60 },
  { value: '6', label: '6 h', stepSeconds: 300 },
  { value: '24', label: '24 h', stepSeconds: 900 },
] as const;

/** The last hours: what was taken, what was refused, how long it waited. */
export function Day() {
  const { gameId } = useGame();
  const [hours, setHours] = useState<(typeof SPANS)[number]['value']>('24');
  const { stepSeconds } = SPANS.find(({ value }) => value === hours) ?? SPANS[2];
  const series = useQuery({
    queryKey: ['pipeline', gameId, 'series', hours],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/pipeline/series', {
          params: { path: { gameId }, query: { hours: Number(hours), stepSeconds } },
        }),
      ),
    refetchInterval: POLL_MS,
    placeholderData: (before) => before,
  });
  return (
    <Panel
      title="The last hours"
      aside={
        <Box role="group" aria-label="How far back">
          <Button.Group>
            {SPANS.map(({ value, label }) => (
              <Button
                key={value}
                size="compact-sm"
                variant={value === hours ? 'light' : 'default'}
                aria-pressed={value === hours}
                onClick={() => setHours(value)}
              >
                {label}
              </Button>
            ))}
          </Button.Group>
        </Box>
      }
    >
      <DataState query={series} rows={6}>
        {({ points }) => (
          <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="lg">
            <Taken points={points} />
            <Waited points={points} />
          </SimpleGrid>
        )}
      </DataState>
    </Panel>
  );
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const timesOf = (points: readonly Point[]) => points.map(({ at }) => clock.format(new Date(at)));
const total = (points: readonly Point[], name: 'accepted' | 'refused' | 'findings' | 'dead') =>
  points.reduce((sum, point) => sum + point[name], 0);

function Taken({ points }: { readonly points: readonly Point[] }) {
  const draw = useCallback((colors: ChartColors) => taken(points, colors), [points]);
  return (
    <Chart
      label={`Events by time: ${count(total(points, 'accepted'))} accepted, ${count(total(points, 'refused'))} refused`}
      draw={draw}
      table={{
        head: ['From', 'Accepted', 'Refused'],
        rows: busy(points).map((point) => [
          clock.format(new Date(point.at)),
          count(point.accepted),
          count(point.refused),
        ]),
      }}
    />
  );
}

/** Of a table only the steps in which something was. */
const busy = (points: readonly Point[]) =>
  points.filter(({ accepted, refused, findings, dead }) => accepted + refused + findings + dead > 0);

const plain = (y: string, tick: (value: number) => string): NonNullable<ChartConfiguration['options']> => ({
  interaction: { mode: 'index', intersect: false },
  plugins: { legend: { position: 'bottom', labels: { usePointStyle: true } } },
  scales: {
    x: { stacked: true, grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 24 } },
    y: {
      stacked: true,
      beginAtZero: true,
      title: { display: true, text: y },
      ticks: { precision: 0, callback: (value) => tick(Number(value)) },
    },
  },
});

const taken = (points: readonly Point[], colors: ChartColors): ChartConfiguration => ({
  type: 'bar',
  data: {
    labels: timesOf(points),
    datasets: [
      {
        label: 'accepted',
        data: points.map(({ accepted }) => accepted),
        backgroundColor: colors.main,
        pointStyle: 'rect',
      },
      {
        label: 'refused',
        data: points.map(({ refused }) => refused),
        backgroundColor: colors.bad,
        pointStyle: 'triangle',
      },
    ],
  },
  options: plain('events', compact),
});

function Waited({ points }: { readonly points: readonly Point[] }) {
  const draw = useCallback((colors: ChartColors) => waited(points, colors), [points]);
  const longest = Math.max(0, ...points.map(({ maxDelaySeconds }) => maxDelaySeconds ?? 0));
  return (
    <Chart
      label={`By time: the longest wait ${span(longest)}, ${count(total(points, 'findings'))} findings, ${count(total(points, 'dead'))} dead letters`}
      draw={draw}
      table={{
        head: ['From', 'Longest wait (s)', 'Findings', 'Dead letters'],
        rows: busy(points).map((point) => [
          clock.format(new Date(point.at)),
          point.maxDelaySeconds === null ? '—' : decimal(point.maxDelaySeconds),
          count(point.findings),
          count(point.dead),
        ]),
      }}
    />
  );
}

function waited(points: readonly Point[], colors: ChartColors): ChartConfiguration {
  const mark = { type: 'line', showLine: false, yAxisID: 'counts', pointRadius: 6 } as const;
  const some = (value: number) => (value === 0 ? null : value);
  return {
    type: 'line',
    data: {
      labels: timesOf(points),
      datasets: [
        {
          ...mark,
          label: 'dead letters',
          data: points.map(({ dead }) => some(dead)),
          pointStyle: 'crossRot',
          borderColor: colors.bad,
          backgroundColor: colors.bad,
          pointBorderWidth: 3,
        },
        {
          ...mark,
          label: 'findings',
          data: points.map(({ findings }) => some(findings)),
          pointStyle: 'triangle',
          borderColor: colors.warn,
          backgroundColor: colors.warn,
        },
        {
          type: 'bar',
          label: 'longest wait',
          data: points.map(({ maxDelaySeconds }) => maxDelaySeconds),
          backgroundColor: colors.quiet,
          pointStyle: 'rect',
          yAxisID: 'y',
        },
      ],
    },
    options: {
      ...plain('', compact),
      scales: {
        x: { grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 24 } },
        y: {
          beginAtZero: true,
          title: { display: true, text: 'longest wait, s' },
          ticks: { callback: (value) => decimal(Number(value)) },
        },
        counts: {
          position: 'right',
          beginAtZero: true,
          suggestedMax: 5,
          grid: { display: false },
          title: { display: true, text: 'findings, letters' },
          ticks: { precision: 0 },
        },
      },
    },
  };
}
