import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ChartConfiguration } from 'chart.js';
import { useCallback, useMemo, useState } from 'react';
import { api, dataOf } from '../../api/client.ts';
import type { Schema } from '../../api/schema.ts';
import { Chart, type ChartColors } from '../../parts/chart.tsx';
import { DataState } from '../../parts/data-state.tsx';
import { compact, count, decimal } from '../../parts/figures.ts';
import { Panel } from '../../parts/panel.tsx';
import { useGame } from '../../shell/game.ts';
import { useFindings } from './player-findings.tsx';

type Series = Schema<'XpSeries'>;
type Finding = Schema<'Finding'>;

const POLL_MS = 15_000;
const DAY_MS = 86_400_000;
const SPANS = [
  { value: '30', label: '30 days' },
  { value: '90', label: '90 days' },
  { value: '400', label: '400 days' },
];

/** How the XP of a player grew, with the days on which something was found. */
export function XpChart({ playerId }: { readonly playerId: string }) {
  const { gameId } = useGame();
  const [days, setDays] = useState('90');
  const series = useQuery({
    queryKey: ['player', gameId, playerId, 'xp', days],
    queryFn: () =>
      dataOf(
        api.GET('/admin/v1/games/{gameId}/players/{playerId}/xp/series', {
          params: { path: { gameId, playerId }, query: { days: Number(days) } },
        }),
      ),
    refetchInterval: POLL_MS,
  });
  const findings = useFindings(playerId);
  return (
    <Panel
      title="XP over time"
      about="By day (UTC): what was won, and what there is in all. Triangles are findings."
      aside={
        <SegmentedControl aria-label="How far back" size="xs" data={SPANS} value={days} onChange={setDays} />
      }
    >
      <DataState
        query={series}
        rows={6}
        isEmpty={({ points }) => points.length === 0}
        empty={`No XP in the last ${days} days.`}
      >
        {(data) => <Picture series={data} findings={findings.list.data ?? NO_FINDINGS} />}
      </DataState>
    </Panel>
  );
}

const NO_FINDINGS: readonly Finding[] = [];

interface Day {
  readonly day: string;
  readonly deltaXp: number;
  readonly totalXp: number;
  readonly findings: readonly Finding[];
}

/** Every day from the first with XP to the last, those without anything too: time is drawn as it passed. */
function daysOf({ points, startsAtXp }: Series, findings: readonly Finding[]): readonly Day[] {
  const first = points[0];
  const last = points.at(-1);
  if (first === undefined || last === undefined) return [];
  const known = new Map(points.map((point) => [point.day, point]));
  const days: Day[] = [];
  let totalXp = startsAtXp;
  for (let at = Date.parse(first.day); at <= Date.parse(last.day); at += DAY_MS) {
    const day = new Date(at).toISOString().slice(0, 'YYYY-MM-DD'.length);
    const point = known.get(day);
    totalXp = point?.totalXp ?? totalXp;
    const found = findings.filter((finding) => finding.at.startsWith(day));
    days.push({ day, deltaXp: point?.deltaXp ?? 0, totalXp, findings: found });
  }
  return days;
}

function Picture({ series, findings }: { readonly series: Series; readonly findings: readonly Finding[] }) {
  const days = useMemo(() => daysOf(series, findings), [series, findings]);
  const draw = useCallback((colors: ChartColors) => configuration(days, colors), [days]);
  const found = days.reduce((sum, day) => sum + day.findings.length, 0);
  return (
    <Chart
      label={`XP by day, from ${days[0]?.day ?? ''} to ${days.at(-1)?.day ?? ''}: ${count(days.at(-1)?.totalXp ?? 0)} in all, ${count(found)} findings`}
      height={280}
      draw={draw}
      table={{
        head: ['Day', 'XP won', 'XP in all', 'Findings'],
        rows: days.map((day) => [day.day, count(day.deltaXp), count(day.totalXp), foundOn(day)]),
      }}
    />
  );
}

const foundOn = ({ findings }: Day): string =>
  findings.map(({ metric, z }) => `${metric} (z ${decimal(z)})`).join(', ');

function configuration(days: readonly Day[], colors: ChartColors): ChartConfiguration {
  return {
    type: 'bar',
    data: {
      labels: days.map(({ day }) => day),
      datasets: [
        {
          type: 'line',
          showLine: false,
          label: 'finding',
          data: days.map(({ totalXp, findings }) => (findings.length === 0 ? null : totalXp)),
          pointStyle: 'triangle',
          pointRadius: 8,
          pointHoverRadius: 10,
          backgroundColor: colors.bad,
          borderColor: colors.bad,
          yAxisID: 'total',
        },
        {
          type: 'line',
          label: 'XP in all',
          data: days.map(({ totalXp }) => totalXp),
          borderColor: colors.main,
          backgroundColor: colors.soft,
          fill: true,
          pointRadius: days.length > 45 ? 0 : 2,
          tension: 0,
          yAxisID: 'total',
        },
        {
          type: 'bar',
          label: 'XP won on the day',
          data: days.map(({ deltaXp }) => deltaXp),
          backgroundColor: colors.quiet,
          yAxisID: 'won',
        },
      ],
    },
    options: {
      interaction: { mode: 'index', intersect: false },
      plugins: {
        legend: { position: 'bottom', labels: { usePointStyle: true } },
        tooltip: {
          callbacks: {
            label: ({ dataset, dataIndex, parsed }) =>
              dataset.label === 'finding'
                ? foundOn(days[dataIndex] ?? NO_DAY)
                : `${dataset.label ?? ''}: ${count(parsed.y ?? 0)}`,
          },
        },
      },
      scales: {
        x: { grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 16 } },
        total: {
          beginAtZero: true,
          title: { display: true, text: 'XP in all' },
          ticks: { callback: (value) => compact(Number(value)) },
        },
        won: {
          position: 'right',
          beginAtZero: true,
          grid: { display: false },
          title: { display: true, text: 'XP won on the day' },
          ticks: { callback: (value) => compact(Number(value)) },
        },
      },
    },
  };
}

const NO_DAY: Day = { day: '', deltaXp: 0, totalXp: 0, findings: [] };
