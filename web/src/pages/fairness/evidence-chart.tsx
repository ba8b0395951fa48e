import { Group, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ChartConfiguration, Scale } from 'chart.js';
import { useCallback } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Chart, type ChartColors } from '../../parts/chart.tsx';
import { DataState } from '../../parts/data-state.tsx';
import { compact, count, decimal } from '../../parts/figures.ts';
import { visibleName } from '../../parts/visible.ts';
import { useGame } from '../../shell/game.ts';
import { scaleOf, type ValueScale } from './value-scale.ts';

type Evidence = Schema<'Evidence'>;
type Point = Schema<'EvidencePoint'>;

/** The series that a finding stands in: what the player did, what was expected of them, and what was flagged. */
export function EvidenceChart({ findingId }: { readonly findingId: number }) {
  const { gameId } = useGame();
  const evidence = useQuery({
    queryKey: ['evidence', gameId, findingId],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/findings/{findingId}/evidence', {
          params: { path: { gameId, findingId } },
        }),
      ),
    placeholderData: (before) => before,
    staleTime: 30_000,
  });
  return (
    <DataState
      query={evidence}
      rows={8}
      isEmpty={({ points }) => points.length === 0}
      empty="The samples around this finding are not kept any more."
    >
      {(data) => <Picture evidence={data} />}
    </DataState>
  );
}

function Picture({ evidence }: { readonly evidence: Evidence }) {
  const draw = useCallback((colors: ChartColors) => configuration(evidence, colors), [evidence]);
  const { finding, transform, side, maxZ, minSamples, points, totalSamples } = evidence;
  const flagged = points.filter(({ isFinding }) => isFinding).length;
  return (
    <>
      <Chart
        label={`${finding.metric} of ${visibleName(finding.playerId)}: ${count(points.length)} samples, ${count(flagged)} flagged; this one ${decimal(finding.value)}, at z ${decimal(finding.z)}`}
        height={320}
        draw={draw}
        table={{
          head: ['Sample', 'When (UTC)', 'Value', 'Mean before', 'Expected from', 'to', 'Flagged'],
          rows: points.map((point) => [
            count(point.sampleNo),
            point.at?.slice(0, 'YYYY-MM-DDTHH:MM:SS'.length).replace('T', ' ') ?? '—',
            decimal(point.value),
            figure(point.center),
            figure(point.low),
            figure(point.high),
            point.isFinding ? 'flagged' : '',
          ]),
        }}
      />
      <Group gap="xs">
        <Text size="xs" c="dimmed">
          {ABOUT_SIDE[side]} {decimal(maxZ)} deviations from the mean of the player’s own samples before,{' '}
          {transform === 'log' ? 'on a logarithmic scale, ' : ''}after {count(minSamples)} samples. Of{' '}
          {count(totalSamples)} samples {count(points.length)} are drawn.
        </Text>
      </Group>
    </>
  );
}

const ABOUT_SIDE = {
  high: 'Flagged is what lies more than',
  low: 'Flagged is what lies lower, by more than',
  both: 'Flagged is what lies, above or below, more than',
} as const;

const figure = (value: number | null): string => (value === null ? '—' : decimal(value));

/** Drawn as it was judged: the axis is that of the transform, its words those of the values. */
function configuration(evidence: Evidence, colors: ChartColors): ChartConfiguration {
  const { points, finding, transform } = evidence;
  const scale = scaleOf(transform, points);
  const at = (pick: (point: Point) => number | null) =>
    points.map((point) => ({ x: point.sampleNo, y: pick(point) ?? Number.NaN }));
  const band = bandOf(evidence);
  const line = { type: 'line', pointRadius: 0, pointHoverRadius: 0, tension: 0, borderWidth: 1.5 } as const;
  const dots = { type: 'line', showLine: false } as const;
  return {
    type: 'line',
    data: {
      datasets: [
        {
          ...dots,
          label: 'flagged',
          data: at((point) => (point.isFinding ? point.judged : null)),
          pointStyle: 'triangle',
          pointRadius: points.map((point) => (point.findingId === finding.findingId ? 11 : 7)),
          pointHoverRadius: 11,
          backgroundColor: colors.bad,
          borderColor: colors.bad,
        },
        {
          ...dots,
          label: 'sample',
          data: at((point) => (point.isFinding ? null : point.judged)),
          pointRadius: 3,
          backgroundColor: colors.text,
          borderColor: colors.text,
        },
        { ...line, label: 'mean before', data: at(({ mean }) => mean), borderColor: colors.main },
        ...(evidence.side === 'low'
          ? []
          : [
              {
                ...line,
                label: 'expected up to',
                data: at(band.high),
                borderColor: colors.warn,
                borderDash: [6, 4],
                backgroundColor: colors.soft,
                fill: evidence.side === 'both' ? '+1' : 'start',
              },
            ]),
        ...(evidence.side === 'high'
          ? []
          : [
              {
                ...line,
                label: 'expected from',
                data: at(band.low),
                borderColor: colors.warn,
                borderDash: [2, 3],
                backgroundColor: colors.soft,
                fill: evidence.side === 'both' ? false : 'end',
              },
            ]),
      ],
    },
    options: options(points, scale, finding.metric),
  };
}

const short = (value: number): string => (Math.abs(value) < 1 ? decimal(value) : compact(value));

/** The ends of the band, where the rule looked: after its first samples. */
function bandOf({ maxZ, minSamples }: Evidence) {
  const end = (direction: 1 | -1) => (point: Point) =>
    point.mean === null || point.deviation === null || point.sampleNo <= minSamples
      ? null
      : point.mean + direction * maxZ * point.deviation;
  return { high: end(1), low: end(-1) };
}

const MARGIN = 0.35;

/** As high as the samples, and some more: a band that is wider than that is cut off, so that the samples stay apart. */
function rangeOf(points: readonly Point[]): { readonly min: number; readonly max: number } {
  const seen = points.flatMap(({ judged, mean }) => (mean === null ? [judged] : [judged, mean]));
  const [least, most] = [Math.min(...seen), Math.max(...seen)];
  const margin = MARGIN * (most - least || Math.abs(most) || 1);
  // What is never below zero is not drawn there.
  return { min: least >= 0 ? Math.max(0, least - margin) : least - margin, max: most + margin };
}

function options(points: readonly Point[], scale: ValueScale, metric: string): ChartConfiguration['options'] {
  return {
    interaction: { mode: 'nearest', axis: 'x', intersect: false },
    plugins: {
      legend: { position: 'bottom', labels: { usePointStyle: true } },
      tooltip: {
        callbacks: {
          title: ([item]) => `Sample ${count(item?.parsed.x ?? 0)}`,
          label: ({ dataset, parsed }) => `${dataset.label ?? ''}: ${decimal(scale.valueAt(parsed.y ?? 0))}`,
          afterBody: ([item]) => points.find(({ sampleNo }) => sampleNo === item?.parsed.x)?.at ?? '',
        },
      },
    },
    scales: {
      x: {
        type: 'linear',
        min: points[0]?.sampleNo ?? 0,
        max: points.at(-1)?.sampleNo ?? 1,
        grid: { display: false },
        title: { display: true, text: 'Sample' },
        ticks: { precision: 0 },
      },
      y: {
        type: 'linear',
        ...rangeOf(points),
        title: { display: true, text: metric },
        afterBuildTicks: (axis: Scale) => {
          const ticks = scale.ticks(axis.min, axis.max);
          if (ticks !== null) axis.ticks = ticks.map((value) => ({ value }));
        },
        ticks: { autoSkip: true, callback: (judged) => short(scale.valueAt(Number(judged))) },
      },
    },
  };
}
