/** `1 player`, `2 players`. @param many where an s does not do */
export const countOf = (count: number, one: string, many = `${one}s`): string =>
  `${String(count)} ${Math.abs(count) === 1 ? one : many}`;
