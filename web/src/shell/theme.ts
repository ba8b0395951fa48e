import {
  createTheme,
  defaultVariantColorsResolver,
  type MantineColorsTuple,
  type VariantColorsResolver,
} from '@mantine/core';

/** From the mark: scales in balance on a deep green. The seventh is the mark's own. */
const tally: MantineColorsTuple = [
  '#e9f8f5',
  '#d3efe9',
  '#a3e0d4',
  '#70d0be',
  '#48c2ab',
  '#2fba9f',
  '#12695f',
  '#0f5a51',
  '#0b4a43',
  '#063a34',
];

/** Nothing comes from outside the page's origin, so the fonts are those of the viewer's system. */
const sans = 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';
const mono = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace';

/** The library judges a ground by its shade in light colours; ours is another one in the dark, and its red is too bright for white. */
const readable: VariantColorsResolver = (asked) => {
  const look = defaultVariantColorsResolver(asked);
  if (asked.variant !== 'filled') return look;
  const color = asked.color ?? asked.theme.primaryColor;
  if (color === asked.theme.primaryColor) return { ...look, color: 'var(--mantine-primary-color-contrast)' };
  if (color !== 'red') return look;
  return {
    ...look,
    background: 'var(--mantine-color-red-9)',
    hover: 'var(--mantine-color-red-8)',
    color: 'var(--mantine-color-white)',
  };
};

export const theme = createTheme({
  colors: { tally },
  primaryColor: 'tally',
  primaryShade: { light: 6, dark: 4 },
  autoContrast: true,
  variantColorResolver: readable,
  defaultRadius: 'md',
  fontFamily: sans,
  fontFamilyMonospace: mono,
  headings: { fontFamily: sans, fontWeight: '650' },
  cursorType: 'pointer',
  // On a ground of full colour the small words of a badge are hard to read.
  components: { Badge: { defaultProps: { variant: 'light' } } },
});
