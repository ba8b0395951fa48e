import { Box, Button, Collapse, Table, useComputedColorScheme, useMantineTheme } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import {
  BarController,
  BarElement,
  CategoryScale,
  Chart as ChartJs,
  Filler,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
  type ChartConfiguration,
} from 'chart.js';
import { useEffect, useRef } from 'react';

ChartJs.register(
  BarController,
  BarElement,
  CategoryScale,
  Filler,
  Legend,
  LinearScale,
  LineController,
  LineElement,
  PointElement,
  Tooltip,
);
ChartJs.defaults.animation = false;
ChartJs.defaults.maintainAspectRatio = false;

/** Colours of a chart in the scheme that the viewer has chosen; canvas knows no CSS variables. */
export interface ChartColors {
  readonly main: string;
  readonly soft: string;
  readonly bad: string;
  readonly warn: string;
  readonly quiet: string;
  readonly text: string;
  readonly grid: string;
}

export interface ChartProps {
  /** What is to be seen, in a sentence: the chart's name for a screen reader. */
  readonly label: string;
  readonly height?: number;
  /** The chart of these colours; made anew when its identity changes, so keep it by useCallback. */
  readonly draw: (colors: ChartColors) => ChartConfiguration;
  /** The same figures as a table, for who cannot see the picture or wants to copy them. */
  readonly table: { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };
}

/** A picture of figures, by Chart.js, with its table on demand. */
export function Chart({ label, height = 220, draw, table }: ChartProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const theme = useMantineTheme();
  const isDark = useComputedColorScheme('light') === 'dark';
  const [isTableOpen, { toggle }] = useDisclosure(false);
  useEffect(() => {
    if (canvas.current === null) return;
    const shade = isDark ? 4 : 6;
    const pick = (name: string, index = shade) => theme.colors[name]?.[index] ?? '#888888';
    const colors: ChartColors = {
      main: pick('tally'),
      soft: `${pick('tally')}33`,
      bad: pick('red'),
      warn: pick('orange'),
      quiet: pick('gray', isDark ? 6 : 5),
      text: pick(isDark ? 'dark' : 'gray', isDark ? 1 : 7),
      grid: pick(isDark ? 'dark' : 'gray', isDark ? 4 : 2),
    };
    ChartJs.defaults.color = colors.text;
    ChartJs.defaults.borderColor = colors.grid;
    const chart = new ChartJs(canvas.current, draw(colors));
    return () => chart.destroy();
  }, [draw, isDark, theme]);
  return (
    <div>
      <Box h={height} pos="relative">
        <canvas ref={canvas} role="img" aria-label={label} />
      </Box>
      <Button variant="subtle" color="gray" size="compact-xs" onClick={toggle} aria-expanded={isTableOpen}>
        {isTableOpen ? 'Hide the figures' : 'Show the figures'}
      </Button>
      <Collapse expanded={isTableOpen}>
        {isTableOpen && (
          <Table.ScrollContainer minWidth={260} mah={260}>
            <Table stickyHeader data={{ head: [...table.head], body: table.rows.map((row) => [...row]) }} />
          </Table.ScrollContainer>
        )}
      </Collapse>
    </div>
  );
}
